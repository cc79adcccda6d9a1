package durable_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/durable"
	"comeback/enginetest/killat"
	"comeback/recovery/journal/journaltest"
)

var (
	before, after = strings.Repeat("before ", 1000), strings.Repeat("after ", 2000)
	// forms are the ways to write a file, with the mode that it gets.
	forms = map[string]struct {
		write func(path string, b []byte) error
		mode  fs.FileMode
	}{"Replace": {durable.Replace, 0o600}, "Publish": {durable.Publish, 0o644}}
)

// TestMain lets the test binary be a program that writes a file.
func TestMain(m *testing.M) {
	path := os.Getenv("DURABLE_TEST_PATH")
	if path == "" {
		os.Exit(m.Run())
	}
	if err := forms[os.Getenv("DURABLE_TEST_FORM")].write(path, []byte(after)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Whatever the mask and whatever lies there, the file is whole, with its mode, and alone.
func TestForms(t *testing.T) {
	old := syscall.Umask(0o077)
	t.Cleanup(func() { syscall.Umask(old) })
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			for _, text := range []string{before, after, ""} {
				if err := form.write(path, []byte(text)); err != nil {
					t.Fatal(err)
				}
				holds(t, path, text, form.mode)
			}
		})
	}
}

// Killed before any of its calls, it leaves the file as it was or as it shall be, and the next
// attempt writes it.
func TestForms_killed(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			run := func(path string, at int) killat.Result {
				t.Helper()
				if err := os.WriteFile(path, []byte(before), form.mode); err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(exe)
				cmd.Env = append(os.Environ(), "DURABLE_TEST_PATH="+path, "DURABLE_TEST_FORM="+name)
				r, err := killat.Run(cmd, at, syscall.SIGKILL)
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			path := filepath.Join(t.TempDir(), "file")
			whole := run(path, killat.Never)
			holds(t, path, after, form.mode)
			order := slices.DeleteFunc(slices.Clone(whole.Calls), func(call string) bool { return call == "remove a file" })
			if diff := cmp.Diff([]string{"make a file", "write to a file", "fsync", "name a file", "fsync"}, order); diff != "" {
				t.Errorf("the order of work is another one:\n%s", diff)
			}
			named := slices.Index(whole.Calls, "name a file")
			for at := range whole.Calls {
				path := filepath.Join(t.TempDir(), "file")
				if r := run(path, at+1); !r.Status.Signaled() {
					t.Fatalf("before call %d it was not killed: %v", at+1, r.Status)
				}
				want := before
				if at > named {
					want = after
				}
				if b, err := os.ReadFile(path); err != nil || string(b) != want {
					t.Errorf("killed before %q it holds %.20q, %v, want %.20q", whole.Calls[at], b, err, want)
				}
				if err := form.write(path, []byte(after)); err != nil {
					t.Errorf("after a kill before %q: %v", whole.Calls[at], err)
				}
				if b, err := os.ReadFile(path); err != nil || string(b) != after {
					t.Errorf("written again it holds %.20q, %v", b, err)
				}
			}
		})
	}
}

// Where there is no room it fails, and what was there stays, alone.
func TestForms_full(t *testing.T) {
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := form.write(path, []byte(before)); err != nil {
				t.Fatal(err)
			}
			const much = 1 << 20
			journaltest.LimitFileSize(t, much/2, func() {
				if err := form.write(path, make([]byte, much)); !errors.Is(err, syscall.EFBIG) {
					t.Errorf("the disk was full: %v", err)
				}
			})
			holds(t, path, before, form.mode)
		})
	}
}

// What cannot get its name leaves nothing.
func TestForms_refused(t *testing.T) {
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "file")
			if err := os.MkdirAll(filepath.Join(path, "is a directory"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := form.write(path, []byte(after)); err == nil {
				t.Error("a directory was replaced")
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
				t.Errorf("left are %v, %v", left, err)
			}
			if err := form.write(filepath.Join(dir, "nowhere", "file"), nil); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("in a directory that is not there: %v", err)
			}
		})
	}
}

// Neither a link nor a pipe that somebody has put beside the file, or in its place, is
// written to.
func TestReplace_planted(t *testing.T) {
	for name, plant := range map[string]func(victim, at string) error{
		"link":      os.Symlink,
		"hard link": os.Link,
		"pipe":      func(_, at string) error { return syscall.Mkfifo(at, 0o666) },
	} {
		for _, end := range []string{"", durable.Beside} {
			t.Run(name+end, func(t *testing.T) {
				dir := t.TempDir()
				victim, path := filepath.Join(t.TempDir(), "victim"), filepath.Join(dir, "file")
				if err := errors.Join(os.WriteFile(victim, []byte(before), 0o600), plant(victim, path+end)); err != nil {
					t.Fatal(err)
				}
				if err := durable.Replace(path, []byte(after)); err != nil {
					t.Fatal(err)
				}
				holds(t, path, after, 0o600)
				if b, err := os.ReadFile(victim); err != nil || string(b) != before {
					t.Errorf("elsewhere it wrote %.20q, %v", b, err)
				}
			})
		}
	}
}

// Who reads while several write finds one of the whole texts.
func TestPublish_atOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	texts := [][]byte{[]byte(before), []byte(after)}
	if err := durable.Publish(path, texts[0]); err != nil {
		t.Fatal(err)
	}
	const each = 50
	done := make(chan error, 2*each)
	for _, text := range texts {
		go func() {
			for range each {
				done <- durable.Publish(path, text)
			}
		}()
	}
	for range 2 * each {
		if err := <-done; err != nil {
			t.Error(err)
		}
		if b, err := os.ReadFile(path); err != nil || !slices.ContainsFunc(texts, func(text []byte) bool { return bytes.Equal(text, b) }) {
			t.Errorf("there was %d bytes, %.20q, %v", len(b), b, err)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestSyncDir(t *testing.T) {
	dir := t.TempDir()
	if err := durable.SyncDir(dir); err != nil {
		t.Error(err)
	}
	if err := durable.SyncDir(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("where it is not: %v", err)
	}
}

// holds wants a file to hold a text, with a mode, and to be alone in its directory.
func holds(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || string(b) != text {
		t.Errorf("it holds %.20q, %v, want %.20q", b, err, text)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != mode {
		t.Errorf("its mode is %v, %v, want %v", info.Mode(), err, mode)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("beside it lie %v, %v", left, err)
	}
}
