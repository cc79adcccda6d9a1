package code_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/enginetest"
	"comeback/recovery"
)

// aged is when a bundle was stored.
func (r *repository) aged(name string, ago time.Duration) string {
	r.t.Helper()
	path, at := filepath.Join(r.copy, "code", name), time.Now().Add(-ago)
	if err := os.Chtimes(path, at, at); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// A bundle that cannot be unpacked does not end the search: a later one has the commit, and
// what was passed over is told. Nor does one whose names are directories in another.
func TestCheckout_goesOnAfterABundle(t *testing.T) {
	for name, test := range map[string]struct {
		first func(r *repository)              // makes 1.bundle
		then  func(r *repository, path string) // what becomes of it before the restore
		says  string                           // of the exception, "" for none
	}{
		"a branch and a directory of branches": {func(r *repository) {
			r.git("branch", "release", r.commits[0])
			r.bundle("1.bundle", "release")
			r.git("branch", "-D", "release")
			r.git("branch", "release/1", r.commits[0])
		}, nil, ""},
		"cut off": {func(r *repository) { r.bundle("1.bundle", "--all") }, func(r *repository, path string) {
			info, err := os.Stat(path)
			if err == nil {
				err = os.Truncate(path, info.Size()*2/3)
			}
			if err != nil {
				r.t.Fatal(err)
			}
		}, "code/1.bundle was passed over: "},
		"gone": {func(r *repository) { r.bundle("1.bundle", "--all") }, func(r *repository, path string) {
			if err := os.Remove(path); err != nil {
				r.t.Fatal(err)
			}
		}, "code/1.bundle was passed over: "},
		"of a shallow checkout": {func(r *repository) {
			checkout := filepath.Join(r.t.TempDir(), "app")
			r.git("clone", "--quiet", "--depth", "1", "file://"+r.dir, checkout)
			r.git("-C", checkout, "bundle", "create", "--quiet", filepath.Join(r.copy, "code", "1.bundle"), "--all", "HEAD")
		}, nil, "lacks a part of its history"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepository(t)
			r.record()
			test.first(r)
			r.bundle("2.bundle", "--all", "HEAD")
			path := r.aged("1.bundle", time.Hour)
			if name == "cut off" { // its head is whole, and that is what the survey sees of it
				test.then(r, path)
				r.aged("1.bundle", time.Hour)
			}
			o := r.options(recovery.Want{Kind: recovery.WantLatest, Text: "latest"})
			if name == "gone" {
				test.then(r, path)
			}
			end := enginetest.Restore(t, o)
			if says, hint := enginetest.Failure(end); says != "" {
				t.Fatalf("the run ended as %s: %s (%s)", end.Result, says, hint)
			}
			out := end.Steps[0].Outcome
			if out.Facts["commit"] != r.commits[2] || out.Facts["bundle"] != "code/2.bundle" {
				t.Errorf("the facts are %v", out.Facts)
			}
			if all := strings.Join(out.Exceptions, "\n"); !strings.Contains(all, test.says) || (test.says == "") != (all == "") {
				t.Errorf("the exceptions are %q", out.Exceptions)
			}
		})
	}
}

// Where no bundle that can be unpacked has the commit, those that cannot be are told: it is
// not known to be missing.
func TestCheckout_brokenAndOthers(t *testing.T) {
	r := newRepository(t)
	r.record()
	r.bundle("1.bundle", "--all")
	r.git("branch", "old", r.commits[0])
	r.bundle("2.bundle", "old")
	path := r.aged("1.bundle", time.Hour)
	o := r.options(recovery.Want{Kind: recovery.WantLatest, Text: "latest"})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	end := enginetest.Restore(t, o)
	if says, hint := enginetest.Failure(end); end.Result != recovery.ResultFailed || !strings.Contains(says, "1 of the 2 bundles cannot be unpacked") || hint == "" {
		t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
	}
}
