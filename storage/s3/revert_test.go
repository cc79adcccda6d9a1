package s3_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// An old version becomes the current one with all that was kept beside its bytes, in
// one request or in parts; what is hidden comes back; no version is lost.
func TestStore_Revert(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("shop")
	server.SetVersioning("shop", true)
	s, err := s3.Open(t.Context(), server.Options("shop", "live"))
	if err != nil {
		t.Fatal(err)
	}
	reverter, ok := storage.As[storage.Reverter](s)
	versions, kept := storage.As[storage.Versioner](s)
	if !ok || !kept {
		t.Fatal("the store cannot go back")
	}
	client, bucket := server.Client(), "shop"
	ctx := t.Context()
	// It may have lists, so that they are asked for, which this server does not tell.
	writer := types.OwnershipControlsRule{ObjectOwnership: types.ObjectOwnershipObjectWriter}
	if _, err := client.PutBucketOwnershipControls(ctx, &awss3.PutBucketOwnershipControlsInput{Bucket: &bucket, OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{writer}}}); err != nil {
		t.Fatal(err)
	}
	const key = "a b/ü+%&.txt"
	full := "live/" + key
	for name, small := range map[string]bool{"one request": true, "parts": false} {
		t.Run(name, func(t *testing.T) {
			text := strings.Repeat("the bytes of the moment ", 260_000)
			if !small {
				t.Cleanup(s3.CopyInParts(1<<20, 5<<20))
			}
			kind := "image/x-" + name[:1]
			in := &awss3.PutObjectInput{Bucket: &bucket, Key: &full, Body: strings.NewReader(text), ContentType: &kind,
				Metadata: map[string]string{"owner": "ann"}}
			if _, err := client.PutObject(ctx, in); err != nil {
				t.Fatal(err)
			}
			old, err := s.Stat(ctx, key)
			if err != nil || old.Version == "" {
				t.Fatalf("%+v, %v", old, err)
			}
			harm, err := s.Put(ctx, key, strings.NewReader("encrypted"), storage.PutOptions{Size: 9})
			if err != nil {
				t.Fatal(err)
			}
			count := func() (n int) {
				for _, err := range versions.Versions(ctx, "") {
					if err != nil {
						t.Fatal(err)
					}
					n++
				}
				return n
			}
			before := count()
			if alike, err := reverter.Alike(ctx, old, harm); alike || err != nil {
				t.Errorf("alike: %t, %v", alike, err)
			}
			if err := reverter.Hide(ctx, key); err != nil {
				t.Fatal(err)
			}
			o, err := reverter.Revert(ctx, old)
			if err != nil {
				t.Fatal(err)
			}
			if o.Version == old.Version || o.Version == "" || o.Lacks != "" || count() != before+2 {
				t.Errorf("%+v; %d versions, and %d before", o, count(), before)
			}
			head, err := client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &bucket, Key: &full})
			if err != nil || *head.ContentType != kind || head.Metadata["owner"] != "ann" || *head.ContentLength != int64(len(text)) {
				t.Errorf("%+v, %v", head, err)
			}
			if got := storagetest.Read(t, s, key); got != text {
				t.Errorf("%d bytes that are not those of the moment", len(got))
			}
			if alike, err := reverter.Alike(ctx, old, o.Object); !alike && small || err != nil {
				t.Errorf("a copy is alike: %t, %v", alike, err)
			}
		})
	}
	if _, err := reverter.Revert(ctx, storage.Object{Key: key}); err == nil {
		t.Error("a version without its id was taken")
	}
	server.CreateBucket("plain")
	plain, err := s3.Open(ctx, server.Options("plain", ""))
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Put(t, plain, "a", "a")
	unversioned, _ := storage.As[storage.Reverter](plain)
	if err := unversioned.Hide(ctx, "a"); !errors.Is(err, storage.ErrConfig) {
		t.Errorf("hidden where no versions are kept: %v", err)
	}
	storagetest.Read(t, plain, "a")
}

// Keys that users of S3 have and comeback would give to nothing go back like others, asked
// for as they are.
func TestFake_RevertOddKeys(t *testing.T) {
	var asked []string
	s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		path, query, _ := strings.Cut(r.RequestURI, "?")
		switch {
		case strings.HasPrefix(query, "versioning"):
			fmt.Fprint(w, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
		case r.Method == http.MethodPut:
			asked = append(asked, path+" from "+r.Header.Get("x-amz-copy-source"))
			w.Header().Set("x-amz-version-id", "v2")
			fmt.Fprint(w, `<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`)
		case r.Method == http.MethodDelete:
			asked = append(asked, path)
			w.Header().Set("x-amz-version-id", "v3")
			w.WriteHeader(http.StatusNoContent)
		case r.Method == http.MethodHead:
			w.Header().Set("ETag", `"e"`)
		default:
			w.WriteHeader(http.StatusNotImplemented)
			fmt.Fprint(w, "<Error><Code>NotImplemented</Code><Message>no</Message></Error>")
		}
	}), s3.Options{})
	reverter, ok := storage.As[storage.Reverter](s)
	if !ok {
		t.Fatal("the store cannot go back")
	}
	for _, key := range []string{"a//b", "/x.jpg", "./x", "a/../b", "a/", "nul\x00"} {
		asked = nil
		path := "/backups/" + strings.ReplaceAll(key, "\x00", "%00")
		if _, err := reverter.Revert(t.Context(), storage.Object{Key: key, Version: "v1", Revision: "e"}); err != nil {
			t.Errorf("%q: %v", key, err)
		}
		if err := reverter.Hide(t.Context(), key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
		if want := []string{path + " from " + path[1:] + "?versionId=v1", path}; !slices.Equal(asked, want) {
			t.Errorf("asked for %q, want %q", asked, want)
		}
	}
	_, err := reverter.Revert(t.Context(), storage.Object{Version: "v1"})
	check(t, "revert nothing", err, storage.ErrConfig, "the key is empty")
	check(t, "hide nothing", reverter.Hide(t.Context(), ""), storage.ErrConfig, "the key is empty")
}

// A copy gets what a service gives it by itself nothing of: who may do what with the version,
// and where it lies; and it is told where that is not known or refused.
func TestFake_RevertKeeps(t *testing.T) {
	owner := `<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>me</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>`
	other := func(kind, who, may string) string {
		return fmt.Sprintf(`<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="%s">%s</Grantee><Permission>%s</Permission></Grant>`, kind, who, may)
	}
	everybody := other("Group", "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>", "READ")
	partner := other("CanonicalUser", "<ID>partner</ID>", "FULL_CONTROL")
	for name, c := range map[string]struct {
		ownership string // "" where it is not told
		status    int    // of the question for the list
		list      string // or the code of the refusal
		class     string
		refuses   string // the code with which a copy that is given something is refused
		want      map[string]string
		lacks     string
		asked     int // for lists, by two reverts
	}{
		"its owner's alone":         {list: owner, asked: 2},
		"its owner is not told":     {list: strings.ReplaceAll(owner, "<ID>me</ID>", ""), asked: 2},
		"public":                    {list: owner + everybody, want: map[string]string{"Acl": "public-read"}, asked: 2},
		"public, and for a partner": {list: owner + everybody + partner, want: map[string]string{"Grant-Full-Control": `id="me", id="partner"`, "Grant-Read": `uri="http://acs.amazonaws.com/groups/global/AllUsers"`}, asked: 2},
		"public without an owner":   {list: everybody, want: map[string]string{"Grant-Read": `uri="http://acs.amazonaws.com/groups/global/AllUsers"`}, asked: 2},
		"for a partner to ask":      {list: owner + other("CanonicalUser", "<ID>partner</ID>", "READ_ACP") + other("CanonicalUser", "<ID>partner</ID>", "WRITE_ACP"), want: map[string]string{"Grant-Full-Control": `id="me"`, "Grant-Read-Acp": `id="partner"`, "Grant-Write-Acp": `id="partner"`}, asked: 2},
		"no lists in the bucket":    {ownership: "BucketOwnerEnforced", list: owner + everybody},
		"lists of the writer":       {ownership: "ObjectWriter", list: owner + everybody, want: map[string]string{"Acl": "public-read"}, asked: 2},
		"a service without lists":   {status: 501, list: "NotImplemented", asked: 1},
		"lists of no use":           {status: 400, list: "AccessControlListNotSupported", asked: 1},
		"no list of this version":   {status: 400, list: "InvalidArgument", lacks: "does not tell (InvalidArgument)", asked: 2},
		"may not be read":           {status: 403, list: "AccessDenied", lacks: "s3:GetObjectVersionAcl", asked: 2},
		"may not be set":            {list: owner + everybody, refuses: "AccessDenied", lacks: "refused (AccessDenied", asked: 2},
		"rarely read":               {list: owner, class: "STANDARD_IA", want: map[string]string{"Storage-Class": "STANDARD_IA"}, asked: 2},
		"no class of this service":  {list: owner, class: "ODD", refuses: "InvalidStorageClass", lacks: "refused (InvalidStorageClass", asked: 2},
		"out of an archive":         {list: owner, class: "GLACIER", asked: 2},
	} {
		for _, inParts := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in parts: %v", name, inParts), func(t *testing.T) {
				if inParts {
					t.Cleanup(s3.CopyInParts(0, 10))
				}
				asked := 0
				var copies []map[string]string
				s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
					q := r.URL.Query()
					refuse := func(status int, code string) {
						w.WriteHeader(status)
						fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
					}
					begins := r.Method == http.MethodPost && q.Has("uploads")
					switch {
					case q.Has("ownershipControls") && c.ownership == "":
						refuse(404, "OwnershipControlsNotFoundError")
					case q.Has("ownershipControls"):
						fmt.Fprintf(w, "<OwnershipControls><Rule><ObjectOwnership>%s</ObjectOwnership></Rule></OwnershipControls>", c.ownership)
					case q.Has("acl"):
						if asked++; q.Get("versionId") != "v1" {
							t.Errorf("asked for the list by %s", r.URL)
						}
						if c.status != 0 {
							refuse(c.status, c.list)
							return
						}
						fmt.Fprint(w, "<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList>"+c.list+"</AccessControlList></AccessControlPolicy>")
					case q.Has("tagging"):
						fmt.Fprint(w, "<Tagging><TagSet></TagSet></Tagging>")
					case r.Method == http.MethodHead:
						w.Header().Set("ETag", `"e"`)
						w.Header().Set("Content-Type", "image/png")
						w.Header().Set("Expires", "Thu, 01 Dec 2033 16:00:00 GMT")
						w.Header().Set("x-amz-website-redirect-location", "/elsewhere")
						if c.class != "" {
							w.Header().Set("x-amz-storage-class", c.class)
						}
					case begins, r.Method == http.MethodPut && !q.Has("partNumber"):
						given := map[string]string{}
						for _, h := range []string{"Acl", "Grant-Full-Control", "Grant-Read", "Grant-Read-Acp", "Grant-Write-Acp", "Storage-Class"} {
							if v := r.Header.Get("X-Amz-" + h); v != "" {
								given[h] = v
							}
						}
						redirect := r.Header.Get("X-Amz-Website-Redirect-Location")
						if c.refuses != "" && len(given) > 0 {
							refuse(400, c.refuses)
							return
						}
						if c.refuses == "" && redirect != "/elsewhere" || begins && (r.Header.Get("Content-Type") != "image/png" || r.Header.Get("Expires") != "Thu, 01 Dec 2033 16:00:00 GMT") {
							t.Errorf("the copy is given %v", r.Header)
						}
						copies = append(copies, given)
						if begins {
							fmt.Fprint(w, `<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>`)
							return
						}
						w.Header().Set("x-amz-version-id", "v2")
						fmt.Fprint(w, `<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`)
					case r.Method == http.MethodPut:
						fmt.Fprint(w, `<CopyPartResult><ETag>"p"</ETag></CopyPartResult>`)
					case r.Method == http.MethodPost:
						w.Header().Set("x-amz-version-id", "v2")
						fmt.Fprint(w, `<CompleteMultipartUploadResult><ETag>"e-1"</ETag></CompleteMultipartUploadResult>`)
					default:
						t.Errorf("%s %s", r.Method, r.URL)
					}
				}), s3.Options{})
				reverter, _ := storage.As[storage.Reverter](s)
				for range 2 {
					o, err := reverter.Revert(t.Context(), storage.Object{Key: "a", Version: "v1", Revision: "e", Size: 9})
					if err != nil || o.Version != "v2" || (o.Lacks == "") != (c.lacks == "") || !strings.Contains(o.Lacks, c.lacks) {
						t.Errorf("%+v, %v", o, err)
					}
				}
				want := c.want
				if want == nil {
					want = map[string]string{}
				}
				if len(copies) != 2 || !maps.Equal(copies[0], want) || !maps.Equal(copies[1], want) || asked != c.asked {
					t.Errorf("copies with %q, want %q; asked for %d lists", copies, want, asked)
				}
			})
		}
	}
}

// What is odd about the list of one version says nothing of those of others; that the question
// is not allowed of any object says that there are none.
func TestFake_RevertOddList(t *testing.T) {
	for name, c := range map[string]struct {
		code  string
		any   bool // it is answered to the question without a version, too
		lacks string
		want  string
		asked int
	}{
		"an argument that is not taken": {code: "InvalidArgument", lacks: "does not tell (InvalidArgument)", want: "public-read", asked: 2},
		"not allowed of a version":      {code: "MethodNotAllowed", lacks: "does not tell (MethodNotAllowed)", want: "public-read", asked: 3},
		"not allowed at all":            {code: "MethodNotAllowed", any: true, asked: 2},
	} {
		t.Run(name, func(t *testing.T) {
			asked, given := 0, ""
			s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				q := r.URL.Query()
				switch {
				case q.Has("ownershipControls"):
					w.WriteHeader(404)
					fmt.Fprint(w, "<Error><Code>OwnershipControlsNotFoundError</Code><Message>no</Message></Error>")
				case q.Has("acl"):
					if asked++; q.Get("versionId") == "null" || c.any {
						w.WriteHeader(map[string]int{"InvalidArgument": 400, "MethodNotAllowed": 405}[c.code])
						fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", c.code)
						return
					}
					fmt.Fprint(w, `<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList>`+
						`<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>me</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>`+
						`<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>`+
						`</AccessControlList></AccessControlPolicy>`)
				case r.Method == http.MethodHead:
					w.Header().Set("ETag", `"e"`)
				default:
					given = r.Header.Get("X-Amz-Acl")
					w.Header().Set("x-amz-version-id", "v3")
					fmt.Fprint(w, `<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`)
				}
			}), s3.Options{})
			reverter, _ := storage.As[storage.Reverter](s)
			for _, next := range []struct{ version, lacks, given string }{{"null", c.lacks, ""}, {"v2", "", c.want}} {
				o, err := reverter.Revert(t.Context(), storage.Object{Key: "a", Version: next.version, Revision: "e", Size: 9})
				if err != nil || given != next.given || (o.Lacks == "") != (next.lacks == "") || !strings.Contains(o.Lacks, next.lacks) {
					t.Errorf("of version %s: %+v, %v; the copy is given the list %q", next.version, o, err, given)
				}
			}
			if asked != c.asked {
				t.Errorf("asked for %d lists, want %d", asked, c.asked)
			}
		})
	}
}

// A list that is not told for now fails the copy, which can be tried again.
func TestFake_RevertWithoutAnswer(t *testing.T) {
	s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodHead:
			w.Header().Set("ETag", `"e"`)
		case r.Method == http.MethodGet:
			w.WriteHeader(503)
			fmt.Fprint(w, "<Error><Code>SlowDown</Code><Message>no</Message></Error>")
		default:
			t.Errorf("%s %s", r.Method, r.URL)
		}
	}), s3.Options{})
	reverter, _ := storage.As[storage.Reverter](s)
	_, err := reverter.Revert(t.Context(), storage.Object{Key: "a", Version: "v1", Revision: "e", Size: 9})
	check(t, "revert", err, storage.ErrUnavailable)
}

// Two versions are said to be the same where everything is that comes with them to whoever
// reads them.
func TestFake_SaidAlike(t *testing.T) {
	of := map[string]http.Header{}
	var asked atomic.Int64
	s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		for name, values := range of[r.URL.Query().Get("versionId")] {
			w.Header()[name] = values
		}
	}), s3.Options{})
	reverter, _ := storage.As[storage.Reverter](s)
	alike := func() bool {
		ok, err := reverter.SaidAlike(t.Context(), storage.Object{Key: "a", Version: "v1"}, storage.Object{Key: "a", Version: "v2"})
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Disposition", "Content-Language", "Cache-Control", "Expires", "X-Amz-Website-Redirect-Location", "X-Amz-Meta-Owner"} {
		base := func() http.Header {
			return http.Header{"Content-Type": {"text/html"}, "Cache-Control": {"no-cache"}, "X-Amz-Meta-Owner": {"ann"}, "Last-Modified": {"Thu, 01 Dec 2033 16:00:00 GMT"}}
		}
		of["v1"], of["v2"] = base(), base()
		of["v2"].Set("Last-Modified", "Thu, 01 Dec 2033 17:00:00 GMT")
		if !alike() {
			t.Error("the same is said, and not found alike")
		}
		of["v2"].Set(name, "another")
		if alike() {
			t.Errorf("another %s is found alike", name)
		}
	}
	before := asked.Load()
	if ok, err := reverter.SaidAlike(t.Context(), storage.Object{Key: "a", Version: "v1"}, storage.Object{Key: "a", Version: "v1"}); !ok || err != nil || asked.Load() != before {
		t.Errorf("a version is like itself: %v, %v", ok, err)
	}
}
