package exchange_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/mounts/mountstest"
)

// tree makes a directory with a file that says what it is.
func tree(t *testing.T, dir, says string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "says"), []byte(says), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func says(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "says"))
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func look(t *testing.T, live, beside string) exchange.Pair {
	t.Helper()
	p, err := exchange.Look(live, beside)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func refused(t *testing.T, err error, words string) {
	t.Helper()
	if recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), words) || recovery.HintOf(err) == "" {
		t.Errorf("error %v (exit %d), next: %q, want a refusal about %q", err, recovery.ExitOf(err), recovery.HintOf(err), words)
	}
}

func TestPair(t *testing.T) {
	for name, fresh := range map[string]bool{"exchanged": false, "moved to a fresh host": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			live, beside, old := filepath.Join(dir, "live"), tree(t, filepath.Join(dir, "beside"), "new"), ""
			if !fresh {
				tree(t, live, "old")
				old = "old"
			}
			p := look(t, live, beside)
			// What another process reads is the same pair.
			b, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			var again exchange.Pair
			if err := json.Unmarshal(b, &again); err != nil || again != p {
				t.Fatalf("%s reads as %+v, %v", b, again, err)
			}
			for _, act := range []struct {
				do           func() error
				live, beside string
				side         exchange.Side
			}{
				{p.Undo, old, "new", exchange.Before}, {p.Exchange, "new", old, exchange.After}, {again.Exchange, "new", old, exchange.After},
				{again.Undo, old, "new", exchange.Before}, {p.Undo, old, "new", exchange.Before}, {p.Exchange, "new", old, exchange.After},
			} {
				if err := act.do(); err != nil {
					t.Fatal(err)
				}
				if side, err := p.Side(); side != act.side || err != nil {
					t.Errorf("side %s, %v, want %s", side, err, act.side)
				}
				if says(t, live) != act.live || says(t, beside) != act.beside {
					t.Errorf("live is %q, beside %q, want %q, %q", says(t, live), says(t, beside), act.live, act.beside)
				}
			}
		})
	}
}

// Files are exchanged as directories are.
// A reboot may call the device by another number.
func TestPair_afterReboot(t *testing.T) {
	dir := t.TempDir()
	live, beside := tree(t, filepath.Join(dir, "live"), "old"), tree(t, filepath.Join(dir, "beside"), "new")
	p := look(t, live, beside)
	p.Old.Device++
	p.New.Device += 2
	for _, act := range []struct {
		do   func() error
		want exchange.Side
		says string
	}{{p.Exchange, exchange.After, "new"}, {p.Exchange, exchange.After, "new"}, {p.Undo, exchange.Before, "old"}, {p.Undo, exchange.Before, "old"}} {
		if err := act.do(); err != nil {
			t.Fatal(err)
		}
		if at, err := p.Side(); at != act.want || err != nil || says(t, live) != act.says {
			t.Errorf("%s is live, %q, %v; want %s", says(t, live), at, err, act.want)
		}
	}
	other := p
	other.New.Born++
	if err := other.Exchange(); err == nil || says(t, live) != "old" {
		t.Errorf("exchanged with another one: %v", err)
	} else {
		refused(t, err, "another one")
	}
	for range 2 {
		if err := exchange.Discard(beside, p.New); err != nil || says(t, beside) != "" {
			t.Errorf("not removed: %v", err)
		}
	}
}

// A pair that has come to lie on two file systems is none.
func TestPair_apart(t *testing.T) {
	dir := t.TempDir()
	live, beside := tree(t, filepath.Join(dir, "live"), "old"), filepath.Join(otherFileSystem(t, dir), "beside")
	tree(t, beside, "new")
	p := exchange.Pair{Live: live, Beside: beside}
	var err error
	if p.Old, err = exchange.Identify(live); err == nil {
		p.New, err = exchange.Identify(beside)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Side()
	refused(t, err, "not on the same file system")
}

func TestPair_file(t *testing.T) {
	dir := tree(t, t.TempDir(), "old")
	live, beside := filepath.Join(dir, "says"), filepath.Join(dir, "new")
	if err := os.WriteFile(beside, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := look(t, live, beside).Exchange(); err != nil {
		t.Fatal(err)
	}
	if got := says(t, dir); got != "new" {
		t.Errorf("live is %q", got)
	}
}

// At any moment the live path names one of the two, whole.
func TestPair_neverNeither(t *testing.T) {
	dir := t.TempDir()
	live, beside := tree(t, filepath.Join(dir, "live"), "old"), tree(t, filepath.Join(dir, "beside"), "new")
	p := look(t, live, beside)
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			if b, err := os.ReadFile(filepath.Join(live, "says")); err != nil || string(b) != "old" && string(b) != "new" {
				t.Errorf("live is %q, %v", b, err)
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for range 40 {
		if err := errors.Join(p.Exchange(), p.Undo()); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	watch.Wait()
}

// Something else at one of the paths is not touched.
func TestPair_stranger(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(live, beside string) error
		says  string
	}{
		"live is another":     {func(live, _ string) error { return errors.Join(os.Rename(live, live+".moved"), os.Mkdir(live, 0o700)) }, "another one now"},
		"live is gone":        {func(live, _ string) error { return os.Rename(live, live+".moved") }, "nothing"},
		"restored is another": {func(_, beside string) error { return errors.Join(os.RemoveAll(beside), os.Mkdir(beside, 0o700)) }, "another one now"},
		"restored is gone":    {func(_, beside string) error { return os.RemoveAll(beside) }, "nothing"},
		"live is a link to new": {func(live, beside string) error {
			return errors.Join(os.Rename(live, live+".moved"), os.Symlink(beside, live))
		}, "another one now"},
		"moved over live": {func(live, beside string) error {
			return errors.Join(os.Rename(live, live+".moved"), os.Rename(beside, live))
		}, "nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			live, beside := tree(t, filepath.Join(dir, "live"), "old"), tree(t, filepath.Join(dir, "beside"), "new")
			p := look(t, live, beside)
			if err := c.spoil(live, beside); err != nil {
				t.Fatal(err)
			}
			before := listing(t, dir)
			refused(t, p.Exchange(), c.says)
			refused(t, p.Undo(), c.says)
			if after := listing(t, dir); after != before {
				t.Errorf("%s, and before %s", after, before)
			}
		})
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		id, err := exchange.Identify(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.Name()+" "+id.String())
	}
	return strings.Join(all, ", ")
}

// otherFileSystem is a directory on another file system than dir's.
func otherFileSystem(t *testing.T, dir string) string {
	t.Helper()
	device := func(path string) uint64 {
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Dev
	}
	for _, place := range []string{"/dev/shm", "/var/tmp"} {
		if device(place) == device(dir) {
			continue
		}
		other, err := os.MkdirTemp(place, "comeback-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.RemoveAll(other); err != nil {
				t.Error(err)
			}
		})
		return other
	}
	t.Fatal("/dev/shm and /var/tmp lie on the file system of " + dir)
	return ""
}

func TestLook_refuses(t *testing.T) {
	dir := t.TempDir()
	live := tree(t, filepath.Join(dir, "live"), "old")
	beside := tree(t, filepath.Join(dir, "beside"), "new")
	inside := tree(t, filepath.Join(live, "inside"), "new")
	link := filepath.Join(dir, "link")
	above := filepath.Join(t.TempDir(), "above")
	pipe := filepath.Join(dir, "pipe")
	if err := errors.Join(os.Symlink(live, link), os.Symlink(dir, above), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	elsewhere := otherFileSystem(t, dir)
	for name, c := range map[string]struct{ live, beside, says string }{
		"the same":                      {live, live, "are the same"},
		"the same through a link":       {live, filepath.Join(above, "live"), "are the same"},
		"live is a link":                {link, beside, "is a symbolic link to " + live},
		"restored is a link":            {beside, link, "is a symbolic link"},
		"restored inside live":          {live, inside, "lies inside"},
		"live inside restored":          {inside, live, "lies inside"},
		"inside by a link":              {live, filepath.Join(above, "live", "inside"), "lies inside"},
		"a fresh place inside restored": {filepath.Join(beside, "fresh"), beside, "lies inside"},
		"another file system":           {live, elsewhere, "same file system"},
		"relative":                      {"live", beside, "cannot be exchanged"},
		"the root":                      {"/", beside, "cannot be exchanged"},
		"of another kind":               {live, filepath.Join(beside, "says"), "not of the same kind"},
		"neither file nor directory":    {pipe, beside, "neither a file nor a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := exchange.Look(c.live, c.beside)
			refused(t, err, c.says)
		})
	}
	t.Run("nothing was restored", func(t *testing.T) {
		if _, err := exchange.Look(live, filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	})
	if says(t, live) != "old" || says(t, beside) != "new" {
		t.Error("something was changed")
	}
}

// Mounts are tried in a child that has its own.
func TestLook_mounts(t *testing.T) {
	if !mountstest.Alone(t) {
		return
	}
	dir := os.TempDir()
	live, beside := tree(t, filepath.Join(dir, "live"), "old"), tree(t, filepath.Join(dir, "beside"), "new")
	mounted, again, other := filepath.Join(dir, "mounted"), filepath.Join(dir, "again"), filepath.Join(dir, "other")
	within := tree(t, filepath.Join(dir, "holds a mount"), "old")
	below := filepath.Join(within, "a b")
	for _, d := range []string{mounted, again, other, below} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		unix.Mount("none", mounted, "tmpfs", 0, ""),
		unix.Mount(live, again, "", unix.MS_BIND, ""),
		unix.Mount(dir, other, "", unix.MS_BIND, ""),
		unix.Mount("none", below, "tmpfs", 0, ""),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ live, beside, says string }{
		"something is mounted in live":      {within, beside, "a b is mounted below"},
		"live is a mount point":             {mounted, beside, "is a mount point"},
		"restored is a mount point":         {live, mounted, "is a mount point"},
		"live again by a bind mount":        {live, again, "are the same"},
		"restored is in live, bind mounted": {live, tree(t, filepath.Join(again, "in"), "new"), "same file system"},
		"through another mount":             {live, filepath.Join(other, "beside"), "same mount"},
		"inside the mount":                  {live, tree(t, filepath.Join(mounted, "in"), "new"), "same file system"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := exchange.Look(c.live, c.beside)
			refused(t, err, c.says)
		})
	}
	// What becomes one after the look is refused by the kernel.
	p := look(t, live, beside)
	if err := unix.Mount(beside, beside, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := p.Exchange(); err == nil || recovery.HintOf(err) == "" || says(t, live) != "old" {
		t.Errorf("error %v, next: %q", err, recovery.HintOf(err))
	}
}

func TestTry(t *testing.T) {
	dir := t.TempDir()
	if err := exchange.Try(dir); err != nil {
		t.Fatal(err)
	}
	if left := listing(t, dir); left != "" {
		t.Errorf("left: %s", left)
	}
	if err := exchange.Try(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat("/proc/self"); err == nil { // a file system without it
		if err := exchange.Try("/proc/self"); err == nil {
			t.Error("exchanged in /proc")
		}
	}
}

// A record that was kept is read, or refused, but never misread.
func FuzzIdentity(f *testing.F) {
	f.Add("")
	f.Add("64768:1311:1795834711000000000")
	f.Add("18446744073709551615:18446744073709551615:-1")
	f.Add("-1:4:0")
	f.Add("64768:1311:0:8d1f:b")
	f.Fuzz(func(t *testing.T, text string) {
		var id exchange.Identity
		if id.UnmarshalText([]byte(text)) != nil {
			return
		}
		b, err := id.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var again exchange.Identity
		if err := again.UnmarshalText(b); err != nil || again != id {
			t.Errorf("%q is %v, written %q, read %v (%v)", text, id, b, again, err)
		}
	})
}
