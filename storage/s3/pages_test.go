package s3

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
)

// answer is a service that says the same to everybody.
type answer struct {
	body   io.Reader
	length int64
}

func (a answer) Do(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: a.length, Body: io.NopCloser(a.body)}, nil
}

// asked is what a client makes of an answer.
func asked(t testing.TB, versions bool, a answer, how ...func(*s3.Options)) (any, error) {
	client := s3.New(s3.Options{Region: "eu-central-1", HTTPClient: a, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), Retryer: aws.NopRetryer{}}, how...)
	if versions {
		out, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String("shop")})
		return out, err
	}
	out, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("shop")})
	return out, err
}

// unread are fields that nobody looks at, which are not filled in.
var unread = cmp.FilterPath(func(p cmp.Path) bool {
	field, ok := p.Last().(cmp.StructField)
	return ok && slices.Contains([]string{"KeyCount", "MaxKeys", "Prefix", "Delimiter", "ContinuationToken", "StartAfter", "KeyMarker", "VersionIdMarker", "CommonPrefixes", "RequestCharged",
		"ResultMetadata", "Owner", "ChecksumAlgorithm", "ChecksumType", "RestoreStatus", "noSmithyDocumentSerde"}, field.Name())
}, cmp.Ignore())

// fallen reports whether a document is one that the SDK has to read.
func fallen(versions bool, body []byte) bool {
	d, root := readDocument(body)
	if versions {
		readVersions(d, root)
	} else {
		readObjects(d, root)
	}
	return !d.ends()
}

const (
	objectsXML = `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>shop</Name><Prefix/><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
	<NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken>
	<Contents><Key>uploads/a+b%26.jpg</Key><LastModified>2026-11-29T23:20:32.000Z</LastModified><ETag>&quot;70ee1738b6b21e2c8a43f3a5ab0eee71&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><Size>1111</Size><StorageClass>STANDARD</StorageClass></Contents>
	<Contents><Key>grüße &amp; &#233; &#x20ac;</Key><LastModified>2026-11-29T23:20:32Z</LastModified><ETag>"x"</ETag><Size>0</Size><Owner xsi:type="CanonicalUser" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><ID>7</ID><DisplayName></DisplayName></Owner></Contents>
	<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>
</ListBucketResult>
`
	versionsXML = `<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated><KeyMarker></KeyMarker><VersionIdMarker /><NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker><Name>shop</Name><MaxKeys>1000</MaxKeys>
<Version><ETag>&#34;a&#34;</ETag><Size>9223372036854775807</Size><StorageClass>STANDARD</StorageClass><Key>a</Key><VersionId>null</VersionId><IsLatest>true</IsLatest><LastModified>2026-11-29T23:20:32.123Z</LastModified><Owner><ID>7</ID></Owner></Version>
<Version><Key>a</Key><VersionId>3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY</VersionId><IsLatest>false</IsLatest><UserMetadata><content-type>x</content-type></UserMetadata></Version>
<DeleteMarker><Key>b</Key><VersionId>03jpff543dhffds434rfdsFDN943fdsFkdmqnh892</VersionId><IsLatest>true</IsLatest><LastModified>2026-11-29T23:20:32Z</LastModified></DeleteMarker>
</ListVersionsResult>`
)

// A list is what the SDK makes of it, whether it is read here or is the SDK's to read.
func TestPages(t *testing.T) {
	content := func(inner string) string {
		return `<ListBucketResult><Name>shop</Name><Contents>` + inner + `</Contents></ListBucketResult>`
	}
	for name, c := range map[string]struct {
		body   string
		fallen bool
	}{
		"objects":                 {objectsXML, false},
		"versions":                {strings.Replace(versionsXML, "<UserMetadata><content-type>x</content-type></UserMetadata>", "", 1), false},
		"single quotes":           {strings.NewReplacer(`version="1.0" encoding="UTF-8"`, `version='1.0' encoding='UTF-8'`, `"http://s3.amazonaws.com/doc/2006-03-01/"`, `'http://doc.s3.amazonaws.com/2006-03-01'`).Replace(objectsXML), false},
		"other quotes":            {`<R a='"' b="'"><Name>shop</Name></R>`, false},
		"a quote alone":           {`<R a='><Name>shop</Name></R>`, true},
		"elements of others":      {versionsXML, true}, // names with a hyphen
		"empty":                   {"", true},
		"not XML":                 {"ok", true},
		"another document":        {"<html><body>Sign in</body></html>", false},
		"an error":                {"<Error><Code>InternalError</Code></Error>", false},
		"cut off":                 {objectsXML[:900], true},
		"cut off in a name":       {objectsXML[:len(objectsXML)-6], true},
		"something behind it":     {objectsXML + "<more/>", true},
		"CDATA":                   {content("<Key><![CDATA[a&b]]></Key>"), true},
		"a comment":               {content("<!-- x --><Key>a</Key>"), true},
		"a comment within":        {content("<Key>a<!-- x -->b</Key>"), true},
		"a prefix":                {`<s3:ListBucketResult xmlns:s3="x"><s3:Name>shop</s3:Name></s3:ListBucketResult>`, true},
		"another case":            {content("<key>a</key>"), true},
		"another encoding":        {`<?xml version="1.0" encoding="ISO-8859-1"?>` + content("<Key>a</Key>"), true},
		"an entity":               {content("<Key>&euro;</Key>"), true},
		"no entity":               {content("<Key>a&b</Key>"), true},
		"a letter that is none":   {content("<Key>&#0;</Key>"), true},
		"a letter that is none 2": {content("<Key>&#xfffe;</Key>"), true},
		"returns":                 {content("<Key>a\r\nb</Key>"), true},
		"not UTF-8":               {content("<Key>\xff</Key>"), true},
		"the end of CDATA":        {content("<Key>a]]>b</Key>"), true},
		"no size":                 {content("<Key>a</Key><Size>many</Size>"), true},
		"an empty size":           {content("<Key>a</Key><Size></Size>"), true},
		"no time":                 {content("<LastModified>yesterday</LastModified>"), true},
		"no boolean":              {"<R><IsTruncated>perhaps</IsTruncated></R>", true},
		"in a key":                {content("<Key><b>a</b></Key>"), true},
		"deep":                    {strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000), true},
		"crossed":                 {"<R><a><b></a></b></R>", true},
		"twice":                   {content("<Key>a</Key><Key>b</Key>"), false},
		"nothing in it":           {content(""), false},
		"in an archive":           {strings.ReplaceAll(objectsXML, "STANDARD", "GLACIER"), false},
		"a class of another case": {content("<Key>a</Key><storageClass>GLACIER</storageClass>"), true},
		"text beside":             {content("x<Key>a</Key>"), true},
		"a tag of nothing":        {content("<>"), true},
		"entities":                {content("<Key>&lt;&gt;&amp;&quot;&apos;&#10;&#13;&#x9;&amp;lt;</Key>"), false},
		"white space":             {content("<Key> a\n\tb </Key>"), false},
	} {
		for _, versions := range []bool{false, true} {
			want, wantErr := asked(t, versions, answer{strings.NewReader(c.body), int64(len(c.body))})
			got, gotErr := asked(t, versions, answer{strings.NewReader(c.body), -1}, readsPages(pageStall))
			if diff := cmp.Diff(want, got, unread); diff != "" || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				t.Errorf("%s, versions %v: %v, not %v; (-SDK +ours):\n%s", name, versions, gotErr, wantErr, diff)
			}
			if is := fallen(versions, []byte(c.body)); is != c.fallen && versions == strings.Contains(c.body, "Version") {
				t.Errorf("%s, versions %v: left to the SDK: %v", name, versions, is)
			}
		}
	}
}

// A connection that breaks within a list is told as the SDK tells it, so that it is asked
// again; a list that is longer than any is the SDK's.
func TestPages_broken(t *testing.T) {
	broken := func() answer {
		return answer{io.MultiReader(strings.NewReader(objectsXML[:900]), iotest.ErrReader(io.ErrUnexpectedEOF)), int64(len(objectsXML))}
	}
	_, want := asked(t, false, broken())
	_, got := asked(t, false, broken(), readsPages(pageStall))
	if want == nil || got == nil || want.Error() != got.Error() {
		t.Errorf("%v, not %v", got, want)
	}
	long := strings.Replace(objectsXML, "<Contents>", strings.Repeat(" ", largestPage)+"<Contents>", 1)
	out, err := asked(t, false, answer{strings.NewReader(long), int64(len(long))}, readsPages(pageStall))
	if page, ok := out.(*s3.ListObjectsV2Output); err != nil || !ok || len(page.Contents) != 2 {
		t.Errorf("%+v, %v", out, err)
	}
}

// silent is a service that sends a part of a list and then nothing, until it is left.
type silent struct{ asked atomic.Int32 }

func (s *silent) Do(r *http.Request) (*http.Response, error) {
	if s.asked.Add(1) == 1 {
		never := readerFunc(func([]byte) (int, error) {
			<-r.Context().Done()
			return 0, r.Context().Err()
		})
		return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: io.NopCloser(io.MultiReader(strings.NewReader(objectsXML[:900]), never))}, nil
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: io.NopCloser(strings.NewReader(objectsXML))}, nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// A list of which nothing comes any more is asked for again.
func TestPages_stalled(t *testing.T) {
	service := new(silent)
	client := s3.New(s3.Options{Region: "eu-central-1", HTTPClient: service, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})},
		readsPages(time.Millisecond))
	out, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("shop")})
	if err != nil || len(out.Contents) != 2 || service.asked.Load() != 2 {
		t.Errorf("%v, %v, asked %d times", out, err, service.asked.Load())
	}
}

// ignored are elements that only the SDK reads, and can find wrong.
var ignored = regexp.MustCompile(`(?i)<(KeyCount|MaxKeys|IsRestoreInProgress|RestoreExpiryDate|Owner|ID|DisplayName|CommonPrefixes|Prefix|Checksum\w*|RestoreStatus|Delimiter|StartAfter|ContinuationToken|KeyMarker|VersionIdMarker)\b`)

// Whatever is read here the SDK reads, and as the same.
func FuzzPages(f *testing.F) {
	f.Add([]byte(objectsXML), false)
	f.Add([]byte(versionsXML), true)
	f.Add([]byte(`<R><Name>a&amp;b</Name><Contents><Key>&#233;</Key></Contents><Contents/></R>`), false)
	f.Add([]byte(`<R a="b"><Name x:y=">"/><Version><IsLatest>1</IsLatest></Version></R>`), true)
	f.Fuzz(func(t *testing.T, body []byte, versions bool) {
		if fallen(versions, body) {
			return
		}
		got, err := asked(t, versions, answer{bytes.NewReader(body), -1}, readsPages(pageStall))
		if err != nil {
			t.Fatal(err)
		}
		want, err := asked(t, versions, answer{bytes.NewReader(body), -1})
		if err != nil && ignored.Match(body) {
			return
		}
		if diff := cmp.Diff(want, got, unread); diff != "" || err != nil {
			t.Errorf("%q: the SDK says %v; (-SDK +ours):\n%s", body, err, diff)
		}
	})
}

// BenchmarkPages reads a list of a thousand objects, as the SDK does and as here.
func BenchmarkPages(b *testing.B) {
	head, rest, _ := strings.Cut(objectsXML, "\t<Contents>")
	one, tail, _ := strings.Cut("<Contents>"+rest, "\n")
	body := head + strings.Repeat(one, 1000) + tail
	for name, how := range map[string][]func(*s3.Options){"SDK": nil, "ours": {readsPages(pageStall)}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := asked(b, false, answer{strings.NewReader(body), int64(len(body))}, how...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
