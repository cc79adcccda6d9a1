package s3

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"comeback/storage"
)

// A copy belongs to who makes it, is private and lies in the standard class, whatever the
// version was: what was public would not be any more. So a version is asked for that, and
// the copy is given it with the request that makes it.

// beside is what a copy of a version does not have by itself.
type beside struct {
	// head has what is said of the version; a copy in parts has nothing of it by itself.
	head     *s3.HeadObjectOutput
	class    types.StorageClass
	redirect *string
	// canned is who may do what where that has a name of its own, which more services
	// understand than grants.
	canned                        types.ObjectCannedACL
	full, read, readACP, writeACP *string
	// lacks is what is not known, or was refused.
	lacks string
}

// lists says whether a bucket has access control lists.
type lists struct {
	asked sync.Once
	none  atomic.Bool
}

// What a copy may lack, as [storage.Reverted] says it.
const (
	listsHidden  = "access control lists, which may not be read (allow s3:GetObjectVersionAcl)"
	listsUntold  = "access control lists, which the service does not tell (%s)"
	listsRefused = "access control lists or storage classes, which were refused (%s; allow s3:PutObjectAcl)"
)

// beside asks for what a copy of a version is to have.
func (s *store) beside(ctx context.Context, v storage.Object) (beside, error) {
	var b beside
	g, asking := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		if b.head, err = s.head(asking, v); err != nil {
			if err = s.words(asking, v, err); err == nil {
				b.head, err = s.head(asking, v)
			}
		}
		return err
	})
	var list *s3.GetObjectAclOutput
	g.Go(func() (err error) {
		list, b.lacks, err = s.list(asking, v)
		return err
	})
	if err := g.Wait(); err != nil {
		return b, err
	}
	b.redirect = b.head.WebsiteRedirectLocation
	switch b.head.StorageClass {
	case types.StorageClassStandard, types.StorageClassGlacier, types.StorageClassDeepArchive: // out of an archive nobody could read what is current
	default:
		b.class = b.head.StorageClass
	}
	if list != nil {
		b.grant(list.Owner, list.Grants)
	}
	return b, nil
}

// list asks who may do what with a version; nil where the bucket has no lists, and where the
// list may not be read, which lacks says.
func (s *store) list(ctx context.Context, v storage.Object) (out *s3.GetObjectAclOutput, lacks string, err error) {
	s.lists.asked.Do(func() {
		rules, err := s.client.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: &s.bucket})
		if err == nil && rules.OwnershipControls != nil { // where it is not told the lists themselves tell
			s.lists.none.Store(slices.ContainsFunc(rules.OwnershipControls.Rules, func(r types.OwnershipControlsRule) bool {
				return r.ObjectOwnership == types.ObjectOwnershipBucketOwnerEnforced
			}))
		}
	})
	if s.lists.none.Load() {
		return nil, "", nil
	}
	out, err = s.client.GetObjectAcl(ctx, &s3.GetObjectAclInput{Bucket: &s.bucket, Key: s.key(v.Key), VersionId: optional(v.Version)})
	if err == nil {
		return out, "", nil
	}
	if s.knowsNone(ctx, v, err) {
		s.lists.none.Store(true)
		return nil, "", nil
	}
	switch refused := s.refusal(ctx, "revert", v.Key, err); refused.Kind {
	case storage.ErrConfig: // whatever is odd about this one, others are asked for
		return nil, fmt.Sprintf(listsUntold, code(err)), nil
	case storage.ErrDenied:
		return nil, listsHidden, nil
	default:
		return nil, "", refused
	}
}

// knowsNone reports whether what the service says to the question for a version's list is that
// it has none at all. That the question is not allowed it says of one version, too.
func (s *store) knowsNone(ctx context.Context, v storage.Object, refused error) bool {
	switch code(refused) {
	case "NotImplemented", "AccessControlListNotSupported":
		return true
	case "MethodNotAllowed":
		_, err := s.client.GetObjectAcl(ctx, &s3.GetObjectAclInput{Bucket: &s.bucket, Key: s.key(v.Key)})
		return code(err) == "MethodNotAllowed"
	}
	return false
}

// The groups that canned lists name.
const (
	everybody = "http://acs.amazonaws.com/groups/global/AllUsers"
	accounts  = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
)

// cannedLists are the lists with a name, by what they grant to others than the owner.
var cannedLists = map[string]types.ObjectCannedACL{
	"READ " + everybody:                         types.ObjectCannedACLPublicRead,
	"READ " + everybody + " WRITE " + everybody: types.ObjectCannedACLPublicReadWrite,
	"READ " + accounts:                          types.ObjectCannedACLAuthenticatedRead,
}

// grant says who is to do what with the copy; nothing where that is its owner alone, as
// everywhere.
func (b *beside) grant(owner *types.Owner, all []types.Grant) {
	var others []string
	of := map[types.Permission][]string{}
	owns := false
	for _, g := range all {
		who := g.Grantee
		if who == nil {
			continue
		}
		id, uri := aws.ToString(who.ID), aws.ToString(who.URI)
		switch {
		case uri != "":
			of[g.Permission] = append(of[g.Permission], `uri="`+uri+`"`)
		case id != "":
			of[g.Permission] = append(of[g.Permission], `id="`+id+`"`)
		case aws.ToString(who.EmailAddress) != "":
			of[g.Permission] = append(of[g.Permission], `emailAddress="`+*who.EmailAddress+`"`)
		}
		// Some services do not say who the owner is.
		if uri == "" && g.Permission == types.PermissionFullControl && (id == "" || owner != nil && id == aws.ToString(owner.ID)) {
			owns = true
			continue
		}
		others = append(others, string(g.Permission)+" "+uri+id)
	}
	if len(others) == 0 {
		return
	}
	slices.Sort(others)
	if name, ok := cannedLists[strings.Join(others, " ")]; ok && owns {
		b.canned = name
		return
	}
	header := func(p types.Permission) *string { return optional(strings.Join(of[p], ", ")) }
	b.full, b.read = header(types.PermissionFullControl), header(types.PermissionRead)
	b.readACP, b.writeACP = header(types.PermissionReadAcp), header(types.PermissionWriteAcp)
}

// plain is what a copy has that is given nothing which a service may refuse; ok is false
// where that is what it was given.
func (b beside) plain(refused error) (beside, bool) {
	switch code(refused) {
	case "AccessDenied", "AccessControlListNotSupported", "InvalidArgument", "InvalidRequest", "InvalidStorageClass", "MalformedACLError",
		"MethodNotAllowed", "NotImplemented", "UnresolvableGrantByEmailAddress":
	default:
		return b, false
	}
	if b.class == "" && b.canned == "" && b.redirect == nil && b.full == nil && b.read == nil && b.readACP == nil && b.writeACP == nil {
		return b, false
	}
	return beside{head: b.head, lacks: fmt.Sprintf(listsRefused, code(refused))}, true
}

// copied asks for a copy with one request.
func (b beside) copied(in *s3.CopyObjectInput) *s3.CopyObjectInput {
	in.StorageClass, in.WebsiteRedirectLocation, in.ACL = b.class, b.redirect, b.canned
	in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWriteACP = b.full, b.read, b.readACP, b.writeACP
	return in
}

// created begins a copy in parts.
func (b beside) created(in *s3.CreateMultipartUploadInput) *s3.CreateMultipartUploadInput {
	in.StorageClass, in.WebsiteRedirectLocation, in.ACL = b.class, b.redirect, b.canned
	in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWriteACP = b.full, b.read, b.readACP, b.writeACP
	h := b.head
	in.Metadata, in.ContentType, in.ContentEncoding, in.ContentDisposition = h.Metadata, h.ContentType, h.ContentEncoding, h.ContentDisposition
	in.ContentLanguage, in.CacheControl, in.Expires = h.ContentLanguage, h.CacheControl, expires(h)
	return in
}

// expires is until when an object may be kept by caches; nil where it is not said, or in no
// time that is one.
func expires(h *s3.HeadObjectOutput) *time.Time {
	t, err := http.ParseTime(aws.ToString(h.ExpiresString))
	if err != nil {
		return nil
	}
	return &t
}
