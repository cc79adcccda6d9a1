package s3_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// The servers in this file answer as S3's documentation says where the real
// one of these tests cannot: it knows no expiry, no other accounts, no
// redirects and no overload.

// answering is a server that gives everyone the same error, without its words
// where the request is a HEAD.
func answering(t *testing.T, status int, code, message string, header ...string) *httptest.Server {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>`, code, message)
	})
}

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // an answer before the end would reset the connection
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

// at opens a store in a bucket of a fake, with root's credentials; the URL of the options
// is what comes after the bucket.
func at(t *testing.T, server *httptest.Server, options s3.Options) storage.Store {
	t.Helper()
	storagetest.SetenvS3(t, server.URL, storagetest.Root)
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	options.URL, options.PathStyle = "s3://backups"+options.URL, true
	return open(t, options)
}

func TestFake_Errors(t *testing.T) {
	for _, test := range []struct {
		name   string
		server func(t *testing.T) *httptest.Server
		want   error
		says   []string
	}{
		{"expired", func(t *testing.T) *httptest.Server {
			return answering(t, 400, "ExpiredToken", "The provided token has expired.")
		}, storage.ErrExpired, []string{"The provided token has expired. (ExpiredToken)"}},
		{"redirected", func(t *testing.T) *httptest.Server {
			return answering(t, 301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.",
				"x-amz-bucket-region", "ap-southeast-2")
		}, storage.ErrConfig, []string{"the bucket backups is in the region ap-southeast-2, not in eu-central-1", "PermanentRedirect"}},
		{"clock", func(t *testing.T) *httptest.Server {
			return answering(t, 403, "RequestTimeTooSkewed", "The difference between the request time and the server's time is too large.")
		}, storage.ErrDenied, []string{"difference between the request time"}},
		{"overloaded", func(t *testing.T) *httptest.Server {
			return answering(t, 503, "SlowDown", "Please reduce your request rate.")
		}, storage.ErrUnavailable, nil},
		{"failing", func(t *testing.T) *httptest.Server {
			return answering(t, 500, "NeverHeardOf", "We encountered an internal error.")
		}, storage.ErrUnavailable, nil},
		{"archived", func(t *testing.T) *httptest.Server {
			return answering(t, 403, "InvalidObjectState", "The operation is not valid for the object's storage class")
		}, storage.ErrArchived, []string{"storage class"}},
		{"not S3, absent", func(t *testing.T) *httptest.Server {
			return serve(t, func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
		}, storage.ErrConfig, []string{"S3 service"}},
		{"not S3, absent without a word", func(t *testing.T) *httptest.Server {
			return serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) })
		}, storage.ErrConfig, []string{"S3 service"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for op, err := range every(t.Context(), at(t, test.server(t), s3.Options{})) {
				check(t, op, err, test.want, append(test.says, "s3://backups")...)
			}
		})
	}
}

// TestFake_NotS3 meets a web server that likes every request.
func TestFake_NotS3(t *testing.T) {
	s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "<html><body>Welcome!</body></html>")
	}), s3.Options{})
	errs := every(t.Context(), s)
	check(t, "list", errs["list"], storage.ErrConfig, "not that of an S3 service")
	check(t, "open", errs["open"], storage.ErrChanged)
	_, err := s.Open(t.Context(), storage.Object{Key: "a", Size: 10}, 5)
	check(t, "open from 5 on", err, storage.ErrConfig, "does not give ranges")
}

// TestFake_Conflict is told, as one of two that store under a name at the same
// time, to try again.
func TestFake_Conflict(t *testing.T) {
	for _, taken := range []bool{true, false} {
		s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPut:
				w.WriteHeader(409)
				fmt.Fprint(w, "<Error><Code>ConditionalRequestConflict</Code><Message>conflict</Message></Error>")
			case taken:
				w.Header().Set("ETag", `"x"`)
			default:
				w.WriteHeader(404)
				fmt.Fprint(w, "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")
			}
		}), s3.Options{})
		_, err := s.Put(t.Context(), "a", strings.NewReader("x"), storage.PutOptions{Size: 1, IfAbsent: true})
		want := storage.ErrUnavailable
		if taken {
			want = storage.ErrExist
		}
		check(t, fmt.Sprintf("taken %v", taken), err, want, "s3://backups/a")
	}
}

// TestFake_EncodedList gets the keys as AWS encodes them, which the real
// server of these tests does not.
func TestFake_EncodedList(t *testing.T) {
	s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("encoding-type") != "url" {
			t.Errorf("asked for %s", r.URL)
		}
		fmt.Fprint(w, `<ListBucketResult><Name>backups</Name><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>`)
		for _, key := range []string{"ctrl%01", "folder/", "two+words%2B%25", "%E6%97%A5"} {
			fmt.Fprintf(w, `<Contents><Key>%s</Key><Size>0</Size><ETag>"e"</ETag></Contents>`, key)
		}
		fmt.Fprint(w, `</ListBucketResult>`)
	}), s3.Options{})
	if got, want := storagetest.Keys(t, s, ""), []string{"ctrl\x01", "two words+%", "日"}; !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}

// TestFake_CompositeChecksum proves that a checksum of the parts' checksums is
// not taken for one of the bytes.
func TestFake_CompositeChecksum(t *testing.T) {
	for kind, want := range map[string]string{"FULL_OBJECT": "crc32c:4waSgw==", "COMPOSITE": "", "": ""} {
		s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("x-amz-checksum-crc32c", "4waSgw==")
			if kind != "" {
				w.Header().Set("x-amz-checksum-type", kind)
			}
			w.Header().Set("Content-Length", "9")
			if r.Method == http.MethodGet {
				fmt.Fprint(w, "123456789")
			}
		}), s3.Options{})
		o, err := s.Stat(t.Context(), "a")
		if err != nil || o.Checksum != want {
			t.Errorf("%s: checksum is %q, %v; want %q", kind, o.Checksum, err, want)
		}
	}
}

// TestRole assumes a role at a server that answers as STS does.
func TestRole(t *testing.T) {
	denied := false
	sts := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if denied {
			w.WriteHeader(403)
			fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: arn:aws:iam::123:user/eve is not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>`)
			return
		}
		fmt.Fprint(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>the-token</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`)
	})
	var asked http.Header
	bucket := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header
		fmt.Fprint(w, `<ListBucketResult><Name>backups</Name></ListBucketResult>`)
	})
	storagetest.SetenvS3(t, bucket.URL, storagetest.Root)
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
	list := func() (err error) {
		s := open(t, s3.Options{URL: "s3://backups", Role: "arn:aws:iam::123456789012:role/restore", PathStyle: true})
		for _, err = range s.List(t.Context(), "") {
		}
		return err
	}
	if err := list(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(asked.Get("Authorization"), "Credential=ASIAROLE/") || asked.Get("x-amz-security-token") != "the-token" {
		t.Errorf("asked with %v", asked)
	}
	denied = true
	check(t, "list", list(), storage.ErrDenied, "not authorized to perform: sts:AssumeRole")
}

// TestIdentity asks a server that answers as STS does.
func TestIdentity(t *testing.T) {
	expired := false
	sts := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if expired {
			w.WriteHeader(403)
			fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>The security token included in the request is expired</Message></Error></ErrorResponse>`)
			return
		}
		fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::210987654321:user/restore</Arn><Account>210987654321</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	})
	storagetest.SetenvS3(t, "", storagetest.Root)
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
	s, _ := storage.As[storage.Identifier](open(t, s3.Options{URL: "s3://backups"}))
	who, account, err := s.Identity(t.Context())
	if who != "arn:aws:iam::210987654321:user/restore" || account != "210987654321" || err != nil {
		t.Errorf("identity is %q, %q, %v", who, account, err)
	}
	expired = true
	_, _, err = s.Identity(t.Context())
	check(t, "identity", err, storage.ErrExpired)
}

// TestExpires assumes a role whose credentials end.
func TestExpires(t *testing.T) {
	denied := false
	sts := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if denied {
			w.WriteHeader(403)
			fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)
			return
		}
		fmt.Fprint(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>B</SecretAccessKey><SessionToken>C</SessionToken><Expiration>2126-11-23T03:40:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`)
	})
	storagetest.SetenvS3(t, "", storagetest.Root)
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
	s, _ := storage.As[storage.CredentialHolder](open(t, s3.Options{URL: "s3://backups"}))
	if at, err := s.Expires(t.Context()); !at.IsZero() || err != nil {
		t.Errorf("a key that holds until it is revoked ends %v, %v", at, err)
	}
	role := s3.Options{URL: "s3://backups", Role: "arn:aws:iam::210987654321:role/restore"}
	s, _ = storage.As[storage.CredentialHolder](open(t, role))
	if at, err := s.Expires(t.Context()); !at.Equal(time.Date(2126, 11, 23, 3, 40, 0, 0, time.UTC)) || err != nil {
		t.Errorf("the role's credentials end %v, %v", at, err)
	}
	denied = true
	s, _ = storage.As[storage.CredentialHolder](open(t, role))
	_, err := s.Expires(t.Context())
	check(t, "expires", err, storage.ErrDenied)
}

// TestVersioning reads a bucket's rules: the shortest time after which one of them
// removes versions, or that they may not be read.
func TestVersioning(t *testing.T) {
	rule := func(status, says string) string {
		return "<Rule><ID>r</ID><Status>" + status + "</Status><Filter><Prefix></Prefix></Filter>" + says + "</Rule>"
	}
	expires := func(days int) string {
		return fmt.Sprintf("<NoncurrentVersionExpiration><NoncurrentDays>%d</NoncurrentDays></NoncurrentVersionExpiration>", days)
	}
	for name, c := range map[string]struct {
		status int
		rules  string
		want   storage.Versioning
		err    error
	}{
		"rules":         {200, rule("Enabled", expires(30)) + rule("Enabled", expires(7)) + rule("Disabled", expires(1)) + rule("Enabled", "<Expiration><Days>2</Days></Expiration>"), storage.Versioning{On: true, Expires: 7 * 24 * time.Hour}, nil},
		"none":          {404, "NoSuchLifecycleConfiguration", storage.Versioning{On: true}, nil},
		"not built":     {501, "NotImplemented", storage.Versioning{On: true}, nil},
		"not for us":    {403, "AccessDenied", storage.Versioning{On: true, Hidden: true}, nil},
		"not available": {503, "SlowDown", storage.Versioning{}, storage.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/xml")
				switch {
				case r.URL.Query().Has("versioning"):
					fmt.Fprint(w, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
				case !r.URL.Query().Has("lifecycle"):
					w.WriteHeader(http.StatusBadRequest)
				case c.status == http.StatusOK:
					fmt.Fprint(w, "<LifecycleConfiguration>"+c.rules+"</LifecycleConfiguration>")
				default:
					w.WriteHeader(c.status)
					fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", c.rules)
				}
			})
			v, ok := storage.As[storage.Versioner](at(t, server, s3.Options{}))
			if !ok {
				t.Fatal("the store has no versions")
			}
			got, err := v.Versioning(t.Context(), "")
			if c.err != nil {
				check(t, name, err, c.err)
			} else if err != nil || got != c.want {
				t.Errorf("%+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

// A rule counts where it can be one for what is asked about: by the prefixes alone, because
// tags and sizes are not known.
func TestVersioning_prefixes(t *testing.T) {
	const day = 24 * time.Hour
	rules := ""
	for days, filter := range map[int]string{
		1: "<Filter><Prefix>live/logs/</Prefix></Filter>",
		2: "<Filter><And><Prefix>live/tmp/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>",
		3: "<Prefix>live/old</Prefix>",
		4: "<Filter><Prefix>elsewhere/</Prefix></Filter>",
		7: "<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>",
		9: "<Filter></Filter>",
	} {
		rules += fmt.Sprintf("<Rule><ID>%d</ID><Status>Enabled</Status>%s<NoncurrentVersionExpiration><NoncurrentDays>%d</NoncurrentDays></NoncurrentVersionExpiration></Rule>", days, filter, days)
	}
	s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("versioning") {
			fmt.Fprint(w, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
			return
		}
		fmt.Fprint(w, "<LifecycleConfiguration>"+rules+"</LifecycleConfiguration>")
	}), s3.Options{URL: "/live"})
	v, _ := storage.As[storage.Versioner](s)
	for prefix, want := range map[string]time.Duration{"": day, "logs/": day, "logs/app/": day, "l": day, "tmp/": 2 * day, "old/": 3 * day, "uploads/": 7 * day} {
		if got, err := v.Versioning(t.Context(), prefix); err != nil || got.Expires != want {
			t.Errorf("%q: %+v, %v; want %v", prefix, got, err, want)
		}
	}
}

// A list of many pages that is stopped, or whose service fails, in the middle says so and is
// not taken for whole, although the next page is asked for ahead; and nobody asks on when
// the reader has enough.
func TestFake_ListAhead(t *testing.T) {
	var one, failing atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		before, _ := strconv.ParseInt(r.URL.Query().Get("continuation-token"), 10, 64)
		page := before + 1
		if r.URL.Query().Get("prefix") == "one" {
			one.Add(1)
		}
		if failing.Load() == page {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<Error><Code>AccessDenied</Code><Message>no more</Message></Error>`)
			return
		}
		fmt.Fprintf(w, `<ListBucketResult><Name>backups</Name><IsTruncated>%t</IsTruncated><NextContinuationToken>%d</NextContinuationToken><Contents><Key>%d</Key><ETag>"x"</ETag><Size>1</Size></Contents></ListBucketResult>`, page < 9, page, page)
	})
	store := at(t, server, s3.Options{})
	list := func(ctx context.Context, prefix string, each func(n int) bool) (n int, failed error) {
		for _, err := range store.List(ctx, prefix) {
			if err != nil {
				return n, err
			}
			if n++; !each(n) {
				break
			}
		}
		return n, nil
	}
	if n, err := list(t.Context(), "", func(int) bool { return true }); n != 9 || err != nil {
		t.Errorf("all: %d, %v", n, err)
	}
	for at := 1; at <= 9; at++ {
		ctx, stop := context.WithCancel(t.Context())
		n, err := list(ctx, "", func(n int) bool {
			if n == at {
				stop()
			}
			return true
		})
		if at < 9 && !errors.Is(err, context.Canceled) || n > at+1 {
			t.Errorf("stopped at %d: %d, %v", at, n, err)
		}
		stop()
		failing.Store(int64(at))
		if n, err := list(t.Context(), "", func(int) bool { return true }); n != at-1 || !errors.Is(err, storage.ErrDenied) {
			t.Errorf("failed at %d: %d, %v", at, n, err)
		}
		failing.Store(0)
	}
	if n, err := list(t.Context(), "", func(n int) bool { return n < 3 }); n != 3 || err != nil {
		t.Errorf("enough: %d, %v", n, err)
	}
	if n, err := list(t.Context(), "one", func(n int) bool { return false }); n != 1 || err != nil || one.Load() != 1 {
		t.Errorf("one: %d, %v, %d pages", n, err, one.Load())
	}
}

// A page that does not come is asked for again, in a list that has begun; the first one is not,
// since a copy that is not there is to be told at once.
func TestFake_ListGoesOn(t *testing.T) {
	t.Cleanup(s3.PagePauses(1, 1, 1))
	var asked, silent atomic.Int64 // silent is which page fails, and asked how often it was asked for
	var fails int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		before, _ := strconv.ParseInt(q.Get("continuation-token")+q.Get("key-marker"), 10, 64)
		page := before + 1
		if silent.Load() == page && asked.Add(1) <= fails {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if q.Has("versions") {
			fmt.Fprintf(w, `<ListVersionsResult><Name>backups</Name><IsTruncated>%t</IsTruncated><NextKeyMarker>%d</NextKeyMarker><Version><Key>%d</Key><VersionId>1</VersionId><IsLatest>true</IsLatest><ETag>"x"</ETag><Size>1</Size></Version></ListVersionsResult>`, page < 3, page, page)
			return
		}
		fmt.Fprintf(w, `<ListBucketResult><Name>backups</Name><IsTruncated>%t</IsTruncated><NextContinuationToken>%d</NextContinuationToken><Contents><Key>%d</Key><ETag>"x"</ETag><Size>1</Size></Contents></ListBucketResult>`, page < 3, page, page)
	})
	store := at(t, server, s3.Options{})
	versions, _ := storage.As[storage.Versioner](store)
	for name, list := range map[string]func() (int, error){
		"objects": func() (n int, failed error) {
			for _, err := range store.List(t.Context(), "") {
				if err != nil {
					return n, err
				}
				n++
			}
			return n, nil
		},
		"versions": func() (n int, failed error) {
			for _, err := range versions.Versions(t.Context(), "") {
				if err != nil {
					return n, err
				}
				n++
			}
			return n, nil
		},
	} {
		for _, c := range []struct {
			page, fails int64
			goes        bool
			asked       int64
		}{{1, 1, false, 1}, {2, 1, true, 2}, {2, 3, true, 4}, {3, 3, true, 4}, {3, 9, false, 4}} {
			silent.Store(c.page)
			asked.Store(0)
			fails = c.fails
			n, err := list()
			if goes := n == 3 && err == nil; goes != c.goes || asked.Load() != c.asked || err != nil && !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("%s, page %d failed %d times: %d came, %v; it was asked for %d times", name, c.page, c.fails, n, err, asked.Load())
			}
		}
	}
}

// TestFake_VersionPages gets versions as AWS pages them, which the real server of these
// tests does not: markers are encoded as keys are, and mean what they stand for.
func TestFake_VersionPages(t *testing.T) {
	type version struct{ key, id string }
	var all []version
	for _, key := range []string{"a%b", "a b", "a+b", "a:b", "b", "日/c:d", "日/é"} {
		for _, id := range []string{"v3", "v2", "v1"} {
			all = append(all, version{key, id})
		}
	}
	slices.SortStableFunc(all, func(a, b version) int { return strings.Compare(a.key, b.key) })
	for n := range 2 * len(all) {
		size, write := n/2+1, url.QueryEscape
		if n%2 == 1 {
			write = html.EscapeString // as some releases of Ceph do
		}
		asked := 0
		s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			if asked++; asked > 2*len(all) {
				t.Errorf("asked for %s", r.URL)
				w.WriteHeader(500)
				return
			}
			q := r.URL.Query()
			from := 0
			if marker := (version{q.Get("key-marker"), q.Get("version-id-marker")}); marker.key != "" {
				for from = slices.Index(all, marker) + 1; marker.id == "" && from < len(all) && all[from].key <= marker.key; from++ {
				}
				if from == 0 {
					t.Errorf("there is no %q", marker)
				}
			}
			page := all[from:min(from+size, len(all))]
			fmt.Fprintf(w, `<ListVersionsResult><Name>backups</Name><EncodingType>url</EncodingType><IsTruncated>%v</IsTruncated>`, from+size < len(all))
			for i, v := range page {
				fmt.Fprintf(w, `<Version><Key>%s</Key><VersionId>%s</VersionId><IsLatest>%v</IsLatest><Size>1</Size><ETag>"e"</ETag><LastModified>2026-11-29T23:20:0%cZ</LastModified></Version>`,
					url.QueryEscape(v.key), v.id, v.id == "v3", v.id[1])
				if i == len(page)-1 && from+size < len(all) {
					fmt.Fprintf(w, `<NextKeyMarker>%s</NextKeyMarker><NextVersionIdMarker>%s</NextVersionIdMarker>`, write(v.key), v.id)
				}
			}
			fmt.Fprint(w, `</ListVersionsResult>`)
		}), s3.Options{})
		versions, ok := storage.As[storage.Versioner](s)
		if !ok {
			t.Fatal("the store keeps no versions")
		}
		var got []version
		for v, err := range versions.Versions(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, version{v.Key, v.Version})
		}
		if !slices.Equal(got, all) {
			t.Errorf("in pages of %d: %q, not %q", size, got, all)
		}
	}
}

// Versions of one second are in the order in which the service writes them, also where one of
// them is a mark of deletion; where it writes the marks apart, that is not known.
func TestFake_VersionsOfASecond(t *testing.T) {
	record := func(kind, id string, second int, latest bool) string {
		return fmt.Sprintf(`<%[1]s><Key>a</Key><VersionId>%s</VersionId><IsLatest>%v</IsLatest><LastModified>2026-11-29T23:20:0%dZ</LastModified></%[1]s>`, kind, id, latest, second)
	}
	newer, mark, older := record("Version", "v2", 5, true), record("DeleteMarker", "mark", 1, false), record("Version", "v1", 1, false)
	for name, c := range map[string]struct {
		list string
		want []string // the versions, the newest first; those that are tied with a star
		then []string // what was there after that second
	}{
		"deleted at once":                    {newer + mark + older, []string{"v2", "mark", "v1"}, nil},
		"stored at once":                     {newer + older + mark + record("Version", "v0", 0, false), []string{"v2", "v1", "mark", "v0"}, []string{"v1"}},
		"deleted at once, the marks apart":   {newer + older + mark, []string{"v2", "v1*", "mark*"}, []string{"v1"}},
		"the marks before":                   {mark + newer + older, []string{"v2", "mark*", "v1*"}, nil},
		"deleted at once, by the SDK":        {newer + mark + older + "<!-- -->", []string{"v2", "v1*", "mark*"}, []string{"v1"}},
		"in another second":                  {newer + older + record("DeleteMarker", "mark", 2, false), []string{"v2", "mark", "v1"}, nil},
		"the mark is the newest":             {record("Version", "v1", 1, false) + record("DeleteMarker", "mark", 1, true), []string{"mark*", "v1*"}, nil},
		"an upload in parts that ended last": {newer + record("Version", "parts", 1, false) + record("Version", "v1", 2, false), []string{"v2", "v1", "parts"}, []string{"v1"}},
	} {
		s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `<ListVersionsResult><Name>backups</Name><IsTruncated>false</IsTruncated>`+c.list+`</ListVersionsResult>`)
		}), s3.Options{})
		versions, _ := storage.As[storage.Versioner](s)
		var got []string
		for v, err := range versions.Versions(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, v.Version+map[bool]string{true: "*"}[v.Tied])
		}
		past, err := storage.AsOf(s, time.Date(2026, 11, 29, 23, 20, 4, 0, time.UTC))
		if err != nil {
			t.Fatal(err)
		}
		var then []string
		for o, err := range past.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			then = append(then, o.Version)
		}
		if !slices.Equal(got, c.want) || !slices.Equal(then, c.then) {
			t.Errorf("%s: %q, and then %q; want %q, and then %q", name, got, then, c.want, c.then)
		}
	}
}

// What lies in an archive is told, by lists whoever reads them, and not of what was restored
// there for a while where that is told.
func TestFake_Archived(t *testing.T) {
	for name, end := range map[string]string{"read here": "", "read by the SDK": "<!-- -->"} {
		s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			root, record := "ListBucketResult", "Contents"
			if r.URL.Query().Has("versions") {
				root, record = "ListVersionsResult", "Version"
			}
			fmt.Fprintf(w, `<%s><Name>backups</Name><IsTruncated>false</IsTruncated>`, root)
			for _, class := range []string{"", "DEEP_ARCHIVE", "GLACIER", "GLACIER_IR", "STANDARD"} {
				fmt.Fprintf(w, `<%[1]s><Key>%[2]s.</Key><VersionId>v</VersionId><Size>1</Size><StorageClass>%[2]s</StorageClass></%[1]s>`, record, class)
			}
			fmt.Fprintf(w, `%s</%s>`, end, root)
		}), s3.Options{})
		var objects, kept []string
		for o, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, o.Key+o.Archived)
		}
		versions, _ := storage.As[storage.Versioner](s)
		for v, err := range versions.Versions(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, v.Key+v.Archived)
		}
		want := []string{".", "DEEP_ARCHIVE.DEEP_ARCHIVE", "GLACIER.GLACIER", "GLACIER_IR.", "STANDARD."}
		if !slices.Equal(objects, want) || !slices.Equal(kept, want) {
			t.Errorf("%s: objects %q, versions %q", name, objects, kept)
		}
	}
	for _, c := range []struct {
		class, status, restore, want string
	}{
		{"STANDARD_IA", "", "", ""},
		{"GLACIER", "", "", "GLACIER"},
		{"GLACIER", "", `ongoing-request="true"`, "GLACIER"},
		{"GLACIER", "", `ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"`, ""},
		{"INTELLIGENT_TIERING", "DEEP_ARCHIVE_ACCESS", "", "DEEP_ARCHIVE_ACCESS"},
	} {
		s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			for name, value := range map[string]string{"Storage-Class": c.class, "Archive-Status": c.status, "Restore": c.restore} {
				if value != "" {
					w.Header().Set("X-Amz-"+name, value)
				}
			}
		}), s3.Options{})
		if o, err := s.Stat(t.Context(), "a"); err != nil || o.Archived != c.want {
			t.Errorf("%+v: %q, %v", c, o.Archived, err)
		}
	}
}

// TestFake_EndlessLists gets lists that say that they go on and not from where, or from
// where they were: they are neither taken for whole nor read for ever.
func TestFake_EndlessLists(t *testing.T) {
	for name, next := range map[string]string{
		"nowhere":  "",
		"the same": "<NextContinuationToken>t</NextContinuationToken><NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>",
	} {
		s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			root, entry := "ListBucketResult", "Contents"
			if r.URL.Query().Has("versions") {
				root, entry = "ListVersionsResult", "Version"
			}
			fmt.Fprintf(w, `<%[1]s><Name>backups</Name><IsTruncated>true</IsTruncated><%[2]s><Key>a</Key><VersionId>v</VersionId><Size>1</Size></%[2]s>%[3]s</%[1]s>`, root, entry, next)
		}), s3.Options{})
		var listed, versioned error
		for _, listed = range s.List(t.Context(), "") {
		}
		check(t, name, listed, storage.ErrConfig, "its list goes on")
		versions, _ := storage.As[storage.Versioner](s)
		for _, versioned = range versions.Versions(t.Context(), "") {
		}
		check(t, name+", versions", versioned, storage.ErrConfig, "its list goes on")
	}
}
