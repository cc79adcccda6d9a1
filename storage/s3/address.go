package s3

import (
	"fmt"
	"strings"

	"comeback/storage"
)

// parseURL takes s3://bucket/prefix apart. Nothing is decoded, as in every
// other tool that takes such addresses: "s3://shop/a%20b" is the prefix "a%20b".
func parseURL(text string) (bucket, prefix string, err error) {
	rest, ok := strings.CutPrefix(text, "s3://")
	if !ok {
		return "", "", fmt.Errorf("the address has to begin with s3://")
	}
	bucket, prefix, _ = strings.Cut(rest, "/")
	if bucket == "" {
		return "", "", fmt.Errorf("the address names no bucket")
	}
	for _, c := range bucket {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._", c) {
			return "", "", fmt.Errorf("%q cannot be in the name of a bucket", c)
		}
	}
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix != "" {
		if err := storage.CheckKey(prefix); err != nil {
			return "", "", err
		}
	}
	return bucket, prefix, nil
}

// checkRead refuses keys that no store should ask for: some services take ".."
// as a way out of the prefix. Empty components are odd, but they happen
// ("aws s3 cp x s3://shop//db/x"), and what is listed can be read.
func checkRead(key string) error {
	if key == "" {
		return fmt.Errorf("%w: the key is empty", storage.ErrConfig)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "." || part == ".." {
			return fmt.Errorf("%w: the key %q has a component %q", storage.ErrConfig, key, part)
		}
	}
	return nil
}
