package storagetest

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// MoveTimes gives the files below a directory other times of modification.
func MoveTimes(dir string, moved func(time.Time) time.Time) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if t := moved(info.ModTime()); !t.Equal(info.ModTime()) {
			return os.Chtimes(path, time.Time{}, t)
		}
		return nil
	})
}

// MoveTimes lets a server without a clock of its own see its objects and versions by
// another clock: it gives them other times of modification, and lets the locks end
// that have ended by that clock. The server itself goes on with its own: what is
// locked until a time after that it keeps.
func (s *S3) MoveTimes(bucket string, moved func(time.Time) time.Time, now time.Time) {
	s.t.Helper()
	for _, of := range []string{"data", "versions"} {
		dir := filepath.Join(s.dir, of, bucket)
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := MoveTimes(dir, moved); err != nil {
			s.t.Fatal(err)
		}
	}
	s.endLocks(bucket, func(until time.Time) bool { return !until.After(now) })
}

// EndLocks lets every lock of a bucket end, as time would.
func (s *S3) EndLocks(bucket string) {
	s.t.Helper()
	s.endLocks(bucket, func(time.Time) bool { return true })
}

// LockNew lets the objects of a bucket that have no lock of their own be locked until
// a time: this server keeps the rule of a bucket beside its objects, others lock each
// object by it when it comes.
func (s *S3) LockNew(bucket string, until time.Time) {
	s.t.Helper()
	s.eachLock(bucket, func(l *objectLock, has bool) bool {
		*l = objectLock{Mode: "GOVERNANCE", RetainUntilDate: until.UTC().Truncate(time.Second)}
		return !has
	})
}

// endLocks lets those locks end that are over.
func (s *S3) endLocks(bucket string, over func(until time.Time) bool) {
	s.t.Helper()
	now := time.Now()
	s.eachLock(bucket, func(l *objectLock, has bool) bool {
		if !has || l.RetainUntilDate.Before(now) || !over(l.RetainUntilDate) {
			return false
		}
		l.RetainUntilDate = now.Add(-time.Hour).UTC().Truncate(time.Second)
		return true
	})
}

// Expire removes what was replaced or deleted in a bucket before a time and is not locked,
// with the marks of deletions, as a rule of a bucket's lifecycle does.
func (s *S3) Expire(bucket string, before time.Time) {
	s.t.Helper()
	now := time.Now()
	locked := map[string]bool{}
	s.eachObject(bucket, func(path string, l *objectLock, has bool) bool {
		locked[path] = has && l.RetainUntilDate.After(now)
		return false
	})
	versions := filepath.Join(s.dir, "versions", bucket)
	for path, is := range locked {
		info, err := os.Stat(path)
		if err == nil && !is && info.ModTime().Before(before) {
			_, deleted := unix.Getxattr(path, deletedAttribute, nil)
			if deleted == nil || strings.HasPrefix(path, versions) {
				err = os.Remove(path)
			}
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// deletedAttribute is what tells the mark of a deletion.
const deletedAttribute = "user.delete-marker"

// lockAttribute is where the server keeps the lock of an object.
const lockAttribute = "user.object-retention"

type objectLock struct {
	Mode            string
	RetainUntilDate time.Time
}

// eachLock goes through the locks of a bucket's objects and versions, and keeps those
// that change has changed.
func (s *S3) eachLock(bucket string, change func(l *objectLock, has bool) bool) {
	s.t.Helper()
	s.eachObject(bucket, func(_ string, l *objectLock, has bool) bool { return change(l, has) })
}

// eachObject does that with the file of each object and version, too.
func (s *S3) eachObject(bucket string, change func(path string, l *objectLock, has bool) bool) {
	s.t.Helper()
	for _, of := range []string{"data", "versions"} {
		err := filepath.WalkDir(filepath.Join(s.dir, of, bucket), func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || e.IsDir() {
				return err
			}
			text := make([]byte, 1<<10)
			n, err := unix.Getxattr(path, lockAttribute, text)
			has := err == nil
			var l objectLock
			if has {
				err = json.Unmarshal(text[:n], &l)
			} else if errors.Is(err, unix.ENODATA) {
				err = nil
			}
			if err != nil || !change(path, &l, has) {
				return err
			}
			b, err := json.Marshal(l)
			if err == nil {
				err = unix.Setxattr(path, lockAttribute, b, 0)
			}
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}
