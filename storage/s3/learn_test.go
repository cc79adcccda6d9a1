package s3

import (
	"net/http"
	"testing"
)

// Only what can be asked for likewise is.
func TestLearn(t *testing.T) {
	signed := "AWS4-HMAC-SHA256 Credential=AKID/20261130/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=0"
	for name, c := range map[string]struct {
		url, authorization, hash string
		want                     bool
	}{
		"path style":            {"https://s3.example/shop/up%20loads/a%2Bb?x-id=GetObject&versionId=v", signed, "UNSIGNED-PAYLOAD", true},
		"the bucket in a name":  {"https://shop.s3.example/up%20loads/a%2Bb?x-id=GetObject", signed, "UNSIGNED-PAYLOAD", true},
		"a key id with slashes": {"https://s3.example/shop/up%20loads/a%2Bb", "AWS4-HMAC-SHA256 Credential=a/b/c/20261130/eu-central-1/s3/aws4_request, Signature=0", "e3b0", true},
		"another key":           {"https://s3.example/shop/up%20loads/other", signed, "UNSIGNED-PAYLOAD", false},
		"written otherwise":     {"https://s3.example/shop/up+loads/a%2Bb", signed, "UNSIGNED-PAYLOAD", false},
		"another question":      {"https://s3.example/shop/up%20loads/a%2Bb?partNumber=1", signed, "UNSIGNED-PAYLOAD", false},
		"a directory bucket":    {"https://s3.example/shop/up%20loads/a%2Bb", "AWS4-HMAC-SHA256 Credential=AKID/20261130/eu-central-1/s3express/aws4_request, Signature=0", "UNSIGNED-PAYLOAD", false},
		"of many regions":       {"https://s3.example/shop/up%20loads/a%2Bb", "AWS4-ECDSA-P256-SHA256 Credential=AKID/20261130/s3/aws4_request, Signature=0", "UNSIGNED-PAYLOAD", false},
		"not signed":            {"https://s3.example/shop/up%20loads/a%2Bb", "", "UNSIGNED-PAYLOAD", false},
		"without a hash":        {"https://s3.example/shop/up%20loads/a%2Bb", signed, "", false},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", c.authorization)
		r.Header.Set(contentHash, c.hash)
		r.Header.Set("X-Amz-Expected-Bucket-Owner", "1")
		like := learn(r, "up loads/a+b")
		if (like != nil) != c.want {
			t.Errorf("%s: learnt %+v", name, like)
		}
		if like != nil && (like.region != "eu-central-1" || like.header.Get("Authorization") != "" || like.header.Get("X-Amz-Expected-Bucket-Owner") != "1") {
			t.Errorf("%s: learnt %+v", name, like)
		}
	}
}
