package check_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/check"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// A real bucket that locks refuses to give its canary up, one that does not lets
// it go, and a key without the right is told from a lock. Nothing but a canary is
// ever touched, and there is never more than one.
func TestCanary(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	ctx := t.Context()
	server.CreateBucket("open")
	_, err := server.Client().CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("locked"), ObjectLockEnabledForBucket: aws.Bool(true),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: storagetest.Region}})
	if err != nil {
		t.Fatal(err)
	}
	lock(t, server, "locked")
	open := func(bucket string) storage.Store {
		s, err := s3.Open(ctx, server.Options(bucket, "shop"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if tried := check.Canary(ctx, open("open"), time.Now()); !tried.Deleted || tried.Refused || tried.Err != nil {
		t.Errorf("a bucket without a lock: %+v", tried)
	}
	if keys := storagetest.Keys(t, open("open"), ""); len(keys) > 0 {
		t.Errorf("left in the bucket: %v", keys)
	}
	locking := func(s storage.Store) storage.Locking {
		locker, ok := storage.As[storage.Locker](s)
		if !ok {
			t.Fatal("a bucket is no locker")
		}
		l, err := locker.Locking(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := locking(open("open")); l.Able || l.On {
		t.Errorf("a bucket without a lock: %+v", l)
	}
	if l := locking(open("locked")); !l.Able || !l.On || l.Mode != "GOVERNANCE" || l.For != 24*time.Hour {
		t.Errorf("a bucket with a lock: %+v", l)
	}
	canariesIn := func(bucket string) []string { return storagetest.Keys(t, open(bucket), "comeback/canary/") }
	for range 2 { // the second time it is the same canary
		if tried := check.Canary(ctx, open("locked"), time.Now()); tried.Deleted || !tried.Refused || tried.Err != nil {
			t.Errorf("a bucket with a lock: %+v", tried)
		}
	}
	if keys := canariesIn("locked"); len(keys) != 1 {
		t.Errorf("canaries: %v", keys)
	}
	t.Run("the lock of the last one has ended", func(t *testing.T) {
		_, err := server.Client().CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("later"), ObjectLockEnabledForBucket: aws.Bool(true),
			CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: storagetest.Region}})
		if err != nil {
			t.Fatal(err)
		}
		old := "comeback/canary/20261101T000000.000Z"
		storagetest.Put(t, open("later"), old, "comeback tries with this object whether backups here can be deleted.\n")
		later := keeper{open("later"), server, "later"}
		for range 2 {
			if tried := check.Canary(ctx, later, time.Now()); tried.Deleted || !tried.Refused || tried.Err != nil || tried.Mode != "GOVERNANCE" || !tried.Until.After(time.Now()) {
				t.Errorf("%+v", tried)
			}
		}
		if keys := canariesIn("later"); len(keys) != 1 || keys[0] == old {
			t.Errorf("canaries: %v", keys)
		}
	})
	// Production has two keys: with one of them it may delete.
	may, mayNot := server.CreateUser("production"), server.CreateUser("writer")
	all := []string{"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:PutObject"}
	deleting := append([]string{"s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObjectRetention"}, all...)
	t.Run("versions", func(t *testing.T) {
		server.CreateBucket("versions")
		server.SetVersioning("versions", true)
		for _, name := range []string{"comeback/canary/ours", "comeback/canary/20261101T000000.000Z"} { // no canaries
			storagetest.Put(t, open("versions"), name, "of somebody else")
		}
		for _, c := range []struct {
			who     storagetest.Account
			actions []string
			deleted bool
			left    int
		}{
			{mayNot, all, false, 1},
			{mayNot, append([]string{"s3:DeleteObject"}, all...), false, 1}, // a delete marker is no deletion
			{may, deleting, true, 0},
		} {
			server.Allow("versions", c.who, c.actions...)
			server.SetenvAs(t, c.who)
			tried := check.Canary(ctx, open("versions"), time.Now())
			if tried.Deleted != c.deleted || tried.Refused == c.deleted || tried.Err != nil || !tried.Until.IsZero() || !strings.HasSuffix(tried.By, c.who.AccessKey[len(c.who.AccessKey)-4:]) {
				t.Errorf("%s with %v: %+v", c.who.AccessKey, c.actions, tried)
			}
			server.Setenv(t)
			if keys := canariesIn("versions"); len(keys) != 2+c.left {
				t.Errorf("after %s with %v there are %v", c.who.AccessKey, c.actions, keys)
			}
		}
		out, err := server.Client().ListObjectVersions(ctx, &awss3.ListObjectVersionsInput{Bucket: aws.String("versions")})
		if err != nil || len(out.Versions) != 2 || len(out.DeleteMarkers) != 0 {
			t.Errorf("%v; left are %d versions and %d delete markers", err, len(out.Versions), len(out.DeleteMarkers))
		}
	})
	t.Run("a lock keeps it from who may delete", func(t *testing.T) {
		server.Allow("locked", may, deleting...)
		server.SetenvAs(t, may)
		if tried := check.Canary(ctx, open("locked"), time.Now()); tried.Deleted || !tried.Refused || tried.Err != nil {
			t.Errorf("%+v", tried)
		}
	})
	t.Run("a key that may not store", func(t *testing.T) {
		server.Allow("open", mayNot, "s3:GetObject", "s3:ListBucket")
		server.SetenvAs(t, mayNot)
		if tried := check.Canary(ctx, open("open"), time.Now()); tried.Deleted || tried.Refused || !tried.Unplaced || recovery.HintOf(tried.Err) == "" {
			t.Errorf("%+v", tried)
		}
	})
}

// lock lets a bucket lock what is stored from now on, for a day.
func lock(t *testing.T, server *storagetest.S3, bucket string) {
	t.Helper()
	_, err := server.Client().PutObjectLockConfiguration(t.Context(), &awss3.PutObjectLockConfigurationInput{Bucket: &bucket,
		ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled,
			Rule: &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeGovernance, Days: aws.Int32(1)}}}})
	if err != nil {
		t.Fatal(err)
	}
}

// keeper is a bucket that locks each object that is stored, and tells so.
type keeper struct {
	storage.Store
	server *storagetest.S3
	bucket string
}

func (l keeper) Unwrap() storage.Store { return l.Store }

func (l keeper) Put(ctx context.Context, key string, body io.Reader, options storage.PutOptions) (storage.Object, error) {
	o, err := l.Store.Put(ctx, key, body, options)
	if err != nil {
		return o, err
	}
	_, err = l.server.Client().PutObjectRetention(ctx, &awss3.PutObjectRetentionInput{Bucket: &l.bucket, Key: aws.String("shop/" + key),
		Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeGovernance, RetainUntilDate: aws.Time(time.Now().Add(time.Hour))}})
	return o, err
}

// holding is a directory that takes files and gives none up.
type holding struct{ storage.Store }

func (holding) Swap(context.Context, storage.Object, []byte) (storage.Object, error) {
	panic("nothing is swapped")
}

func (holding) Remove(_ context.Context, o storage.Object) error {
	return &storage.Error{Op: "remove", Object: o.Key, Kind: storage.ErrDenied, Says: "operation not permitted"}
}

// In a directory the canary goes, or is kept, or is not taken from a user who may not
// write to it; nothing else is touched.
func TestCanary_directory(t *testing.T) {
	open := func(mode os.FileMode) (storage.Store, string) {
		t.Helper()
		dir := t.TempDir()
		for d := dir; d != "/"; d = filepath.Dir(d) { // another user is to come to it
			if info, err := os.Stat(d); err != nil || info.Mode().Perm()&0o001 == 0 && os.Chmod(d, 0o711) != nil {
				t.Fatal(d, err)
			}
		}
		s, err := storage.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		storagetest.Put(t, s, "comeback/canary/ours", "of somebody else")
		for _, d := range []string{"comeback", "comeback/canary"} {
			if err := os.Chmod(filepath.Join(dir, d), mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return s, dir
	}
	s, dir := open(0o755)
	if tried := check.Canary(t.Context(), s, time.Now()); !tried.Deleted || tried.Refused || tried.Unplaced || tried.Err != nil || !strings.HasPrefix(tried.By, "user ") {
		t.Errorf("who may delete: %+v", tried)
	}
	for range 2 {
		if tried := check.Canary(t.Context(), holding{s}, time.Now()); tried.Deleted || !tried.Refused || tried.Unplaced || tried.Err != nil {
			t.Errorf("where nothing is given up: %+v", tried)
		}
		if left, err := os.ReadDir(filepath.Join(dir, "comeback", "canary")); err != nil || len(left) != 2 {
			t.Errorf("left are %v, %v", left, err)
		}
	}
	if tried := check.Canary(t.Context(), s, time.Now()); !tried.Deleted || tried.Err != nil {
		t.Errorf("who may delete again: %+v", tried)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "comeback", "canary")); err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
	s, _ = open(0o555)
	asNobody(t, func() {
		if tried := check.Canary(t.Context(), s, time.Now()); tried.Deleted || tried.Refused || !tried.Unplaced || recovery.HintOf(tried.Err) == "" {
			t.Errorf("who may not write: %+v", tried)
		}
	})
}

// asNobody does something to files as a user who owns none.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do() // the modes of the files are enough
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // which ends with its goroutine
		if err := errors.Join(unix.Setfsgid(65534), unix.Setfsuid(65534)); err != nil {
			t.Error(err)
			return
		}
		do()
	}()
	<-done
}
