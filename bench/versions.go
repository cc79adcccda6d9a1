package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// versionedBucket is a bucket that keeps versions, of which many were
// overwritten, deleted or added after a moment.
//
// Nothing is removed before the row has ended: ext4 without a journal gives no inode
// away again for minutes after its file was removed, and looks at each of them for each
// new file, which took more than all the rest of a restore and hits whoever comes second.
type versionedBucket struct {
	base   string
	far    bool
	flags  []string // of rclone
	s3     *gateway
	dated  dated
	moment time.Time
	digest string // of names and contents at the moment
}

// objectBytes is how large an object is.
const objectBytes = 4_000

// versions is the row of a bucket that goes back to a moment, from the beginning
// of the process, with the listing of all versions, against rclone with flags.
func versions(name, work string, far bool, flags ...string) row {
	v := &versionedBucket{far: far, flags: flags}
	peer := strings.Join(append([]string{"rclone copy --s3-version-at"}, flags...), " ") + ", synced"
	return row{name: name, work: work, far: far, peer: peer, goal: 0.60, prepare: v.prepare, ours: v.restore, theirs: v.rclone}
}

// versionsRunbook restores the bucket into scratch and digests what came back.
const versionsRunbook = `---
comeback: 1
system: bench
rpo: 1d
rto: 1d
copies:
  bucket: {url: "s3://bench", endpoint: %q, path_style: true, region: eu-central-1}
components:
  uploads: {kind: files, with: bucket, versioned_since: "2020-01-01T00:00:00Z"}
---

# Bring the bench back

## Restore the files
Owner: nobody. Budget: 1h.

` + "```yaml\nrestore: uploads\n```" + `

## Check the copy
` + "```sh\n# run: everything came back\n# in: rehearsal\n# timeout: 10m\ncd \"$COMEBACK_UPLOADS\" && test \"$(%s)\" = %s\n```\n"

// prepare puts 100 objects for each MB of the bench's size, notes the moment and
// what they were then, and changes two of five.
func (v *versionedBucket) prepare(ctx context.Context, b *bench) (err error) {
	v.base = filepath.Join(b.dir, "versions")
	tree := filepath.Join(v.base, "then")
	if err := errors.Join(os.RemoveAll(v.base), os.MkdirAll(tree, 0o711)); err != nil {
		return err
	}
	b.stopLater(func() { _ = os.RemoveAll(v.base) })
	if v.s3, err = b.startGateway(ctx, filepath.Join(v.base, "s3"), gatewayOptions{Far: v.far}); err != nil {
		return err
	}
	defer v.s3.begin()
	client, bucket := v.s3.client(), aws.String("bench")
	if _, err := client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: bucket,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		return err
	}
	n := b.size * 100
	each := func(from, to int, do func(context.Context, string, []byte) error) error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(16)
		for i := from; i < to; i++ {
			g.Go(func() error {
				key := fmt.Sprintf("%03d/object-%06d.bin", i%500, i)
				return do(ctx, key, bytes.Repeat(fmt.Appendf(nil, "%08x", uint32(i)*2654435761), objectBytes/8))
			})
		}
		return g.Wait()
	}
	put := func(ctx context.Context, key string, content []byte) error {
		out, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(content)})
		if err == nil {
			v.dated.stored(aws.ToString(out.VersionId))
		}
		return err
	}
	err = each(0, n, func(ctx context.Context, key string, content []byte) error {
		path := filepath.Join(tree, key)
		return errors.Join(put(ctx, key, content), os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644))
	})
	if err != nil {
		return err
	}
	if v.digest, err = digestOf(ctx, tree); err != nil {
		return err
	}
	wait := func() error { // versions have times of whole seconds
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Second):
			return nil
		}
	}
	if err := wait(); err != nil {
		return err
	}
	v.moment = time.Now().UTC().Truncate(time.Second)
	if err := wait(); err != nil {
		return err
	}
	err = errors.Join(
		each(0, n/5, func(ctx context.Context, key string, content []byte) error {
			return put(ctx, key, bytes.ToUpper(append(content, "overwritten"...)))
		}),
		each(n/5, n*3/10, func(ctx context.Context, key string, _ []byte) error {
			_, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: &key})
			if err == nil {
				v.dated.deleted(key)
			}
			return err
		}),
		each(n, n*11/10, put))
	if err == nil {
		err = v.dated.set(filepath.Join(v.base, "s3", "data", "bench"), filepath.Join(v.base, "s3", "versions"), n*3/10)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(v.book(), fmt.Appendf(nil, versionsRunbook, v.s3.url, treeDigest, v.digest), 0o600)
}

func (v *versionedBucket) book() string { return filepath.Join(v.base, "bench.md") }

func (v *versionedBucket) restore(ctx context.Context, b *bench) (took, error) {
	defer v.s3.tell(v.s3.busy())
	return b.rehearseFile(ctx, rehearsal{file: v.book(), last: "restore", to: v.moment.Format(time.RFC3339), env: v.s3.env(), keep: true})
}

// rclone brings the bucket back as it was, synced to disk as ours is.
func (v *versionedBucket) rclone(ctx context.Context, _ *bench) (took, error) {
	to, err := os.MkdirTemp(v.base, "rclone-")
	if err != nil {
		return took{}, err
	}
	server := v.s3.busy()
	c := startClock()
	cmd := exec.CommandContext(ctx, "rclone", append([]string{"copy", "--config=", "--s3-version-at=" + v.moment.Format("2006-01-02 15:04:05"), "bench:bench", to}, v.flags...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + v.base, "TZ=UTC"}, "RCLONE_CONFIG_BENCH_TYPE=s3", "RCLONE_CONFIG_BENCH_PROVIDER=Other", "RCLONE_CONFIG_BENCH_ENDPOINT="+v.s3.url,
		"RCLONE_CONFIG_BENCH_ACCESS_KEY_ID=bench", "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY=bench-secret", "RCLONE_CONFIG_BENCH_REGION=eu-central-1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return took{}, fmt.Errorf("rclone copy: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := syncTree(ctx, to); err != nil {
		return took{}, err
	}
	t := c.stop()
	v.s3.tell(server)
	digest, err := digestOf(ctx, to)
	if err == nil && digest != v.digest {
		err = errors.New("rclone brought something else back")
	}
	return t, err
}
