package pitr

import (
	"crypto/md5"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"comeback/recovery"
	"comeback/storage"
	"comeback/storage/s3"
)

// bucket lists what a year's copy holds as ListObjectsV2 documents it, in pages that
// are made as they are asked for, and gives the objects that have bytes from the copy's
// directory.
type bucket struct {
	*year
	dir string
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/shop"), "/")
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodGet && key == "" && q.Get("list-type") == "2":
		b.list(w, q)
	case key == "":
		http.Error(w, "<Error><Code>NotImplemented</Code></Error>", http.StatusNotImplemented)
	default:
		at, ok := slices.BinarySearchFunc(b.objects, key, func(o storage.Object, key string) int { return strings.Compare(o.Key, key) })
		switch {
		case !ok:
			http.Error(w, "<Error><Code>NoSuchKey</Code></Error>", http.StatusNotFound)
		case b.objects[at].Revision == "": // one of the many: it holds nothing
			w.Header().Set("ETag", tag(b.objects[at]))
			http.ServeContent(w, r, key, b.objects[at].Modified, strings.NewReader(strings.Repeat("\x00", int(b.objects[at].Size))))
		default:
			w.Header().Set("ETag", tag(b.objects[at]))
			http.ServeFile(w, r, filepath.Join(b.dir, filepath.FromSlash(key)))
		}
	}
}

func (b *bucket) list(w http.ResponseWriter, q url.Values) {
	after, prefix := q.Get("continuation-token"), q.Get("prefix")
	most, err := strconv.Atoi(q.Get("max-keys"))
	if err != nil {
		most = 1000
	}
	first, found := slices.BinarySearchFunc(b.objects, max(after, prefix), func(o storage.Object, key string) int { return strings.Compare(o.Key, key) })
	if found && after != "" {
		first++
	}
	var page strings.Builder
	fmt.Fprintf(&page, "%s<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>shop</Name><Prefix>%s</Prefix><MaxKeys>%d</MaxKeys><EncodingType>url</EncodingType>", xml.Header, url.QueryEscape(prefix), most)
	n, last, more := 0, "", false
	for _, o := range b.objects[first:] {
		if !strings.HasPrefix(o.Key, prefix) {
			break
		}
		if n == most {
			more = true
			break
		}
		fmt.Fprintf(&page, "<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>%s</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>",
			strings.ReplaceAll(url.QueryEscape(o.Key), "%2F", "/"), o.Modified.UTC().Format("2006-01-02T15:04:05.000Z"), tag(o), o.Size)
		n, last = n+1, o.Key
	}
	fmt.Fprintf(&page, "<KeyCount>%d</KeyCount><IsTruncated>%t</IsTruncated>", n, more)
	if more {
		fmt.Fprintf(&page, "<NextContinuationToken>%s</NextContinuationToken>", last)
	}
	page.WriteString("</ListBucketResult>")
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write([]byte(page.String())) // who asked tells
}

// tag is as long as that of an object that was put at once.
func tag(o storage.Object) string { return fmt.Sprintf("\"%x\"", md5.Sum([]byte(o.Key))) }

// surveying is what a process of BenchmarkSurvey_Million does: "survey" or "bare".
const surveying = "COMEBACK_TEST_SURVEY"

// BenchmarkSurvey_Million judges an archive of 1 000 000 segments in a bucket, beside a
// bare loop over the same pages, each in a process of its own, and the server in this one.
func BenchmarkSurvey_Million(b *testing.B) {
	address := os.Getenv("AWS_ENDPOINT_URL_S3")
	switch os.Getenv(surveying) {
	case "survey":
		surveyMillion(b, address)
		status, err := os.ReadFile("/proc/self/status")
		fmt.Println(string(status), err)
		return
	case "bare":
		listMillion(b, address)
		fmt.Println("VmHWM: 0 kB") // nobody asks
		return
	}
	c := source.get(b).copy(b, "zstd")
	all := &bucket{year: longArchive(b, c, million, nil), dir: c.dir}
	server := httptest.NewServer(all)
	defer server.Close()
	run := func(what string) (took time.Duration, memory int64) {
		cmd := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkSurvey_Million$", "-test.benchtime=1x")
		cmd.Env = append(os.Environ(), surveying+"="+what, "AWS_ENDPOINT_URL_S3="+server.URL, "AWS_ACCESS_KEY_ID=bench", "AWS_SECRET_ACCESS_KEY=bench", "AWS_EC2_METADATA_DISABLED=true")
		began := time.Now()
		out, err := cmd.CombinedOutput()
		took = time.Since(began)
		if err == nil {
			_, after, _ := strings.Cut(string(out), "VmHWM:") // what getrusage tells is also of the process that began it
			_, err = fmt.Sscanf(after, "%d kB", &memory)
		}
		if err != nil {
			b.Fatalf("%s: %v\n%s", what, err, out)
		}
		return took, memory << 10
	}
	var ratios []float64
	var most int64
	for b.Loop() {
		took, memory := run("survey")
		most = max(most, memory)
		b.StopTimer()
		bare, _ := run("bare")
		ratios = append(ratios, took.Seconds()/bare.Seconds())
		b.StartTimer()
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "of-a-bare-loop")
	b.ReportMetric(float64(most)/1e6, "MB")
}

const million = 1_000_000

func surveyMillion(b *testing.B, address string) {
	store, err := s3.Open(b.Context(), s3.Options{URL: "s3://shop", Region: "eu-central-1", Endpoint: address, PathStyle: true})
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Options{Temp: b.TempDir()}).Survey(b.Context(), database, recovery.Copy{Name: "offsite"}, store)
	if err != nil || len(s.Windows) != 1 || len(s.Windows[0].Gaps) > 0 {
		b.Fatalf("%+v, %v", s.Windows, err)
	}
}

func listMillion(b *testing.B, address string) {
	client := awss3.New(awss3.Options{BaseEndpoint: &address, Region: "eu-central-1", UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider("bench", "bench", "")})
	n := 0
	for pages := awss3.NewListObjectsV2Paginator(client, &awss3.ListObjectsV2Input{Bucket: aws.String("shop")}); pages.HasMorePages(); {
		page, err := pages.NextPage(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		n += len(page.Contents)
	}
	if n < million {
		b.Fatalf("%d objects", n)
	}
}
