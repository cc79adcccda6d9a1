package shop_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/shop"
	"comeback/shop/shoptest"
)

// TestMain lets the test binary be a process that opens a shop: one that waits
// to be killed, or one that leaves the shop behind.
func TestMain(m *testing.M) {
	dir := os.Getenv("SHOP_TEST_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := shop.Open(context.Background(), shop.Options{Dir: dir, Scale: small})
	if err == nil && os.Getenv("SHOP_TEST_DETACH") != "" {
		err = s.Detach(context.Background())
	} else if err == nil {
		err = s.StartWrites(50)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("open")
	if os.Getenv("SHOP_TEST_DETACH") == "" {
		select {} // until it is killed
	}
}

// child runs this test binary as a process that opens a shop, and returns when
// the shop is open.
func child(t *testing.T, dir string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "SHOP_TEST_DIR="+dir)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "open\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	return cmd
}

func TestShop_CloseLeavesNothing(t *testing.T) {
	dir := shoptest.Dir(t)
	s := shoptest.Open(t, shop.Options{Dir: dir, Scale: small})
	if err := s.StartWrites(50); err != nil {
		t.Fatal(err)
	}
	if left := shoptest.Processes(t, dir); len(left) == 0 {
		t.Error("an open shop has no process: this test would see nothing")
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if left := shoptest.Processes(t, dir); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	for range 2 {
		if err := shop.Remove(within(t), dir); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left in its directory: %v, %v", entries, err)
	}
}

func TestShop_DiesWithItsProcess(t *testing.T) {
	dir := shoptest.Dir(t)
	cmd := child(t, dir)
	if left := shoptest.Processes(t, dir); len(left) == 0 {
		t.Error("an open shop has no process")
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	eventually(t, "the end of the server", func() bool { return len(shoptest.Processes(t, dir)) == 0 })
	if err := shop.Remove(within(t), dir); err != nil {
		t.Fatal(err)
	}
}

func TestShop_DetachOutlives(t *testing.T) {
	dir := shoptest.Dir(t)
	t.Cleanup(func() {
		if err := shop.Remove(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
	if err := child(t, dir, "SHOP_TEST_DETACH=1").Wait(); err != nil {
		t.Fatal(err)
	}
	if n := ask[int64](t, shop.Layout{Dir: dir}.URL("shop", "shop"), "select count(*) from orders"); n != small {
		t.Errorf("%d orders", n)
	}
	if err := shop.Remove(within(t), dir); err != nil {
		t.Fatal(err)
	}
	if left := shoptest.Processes(t, dir); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	if _, err := os.Stat(filepath.Join(dir, "run")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket's directory: %v", err)
	}
}

func TestOpen_InterruptedLeavesNoProcess(t *testing.T) {
	dir := shoptest.Dir(t)
	ctx, cancel := context.WithCancel(context.Background())
	_, err := shop.Open(ctx, shop.Options{Dir: dir, Scale: small, Log: func(string) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if left := shoptest.Processes(t, dir); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
}

func TestOpen_Refuses(t *testing.T) {
	base := shoptest.Dir(t)
	taken := filepath.Join(base, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "cluster"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		dir, says string
	}{
		"relative":           {"relative", "not absolute"},
		"taken":              {taken, "there is one already"},
		"below a file":       {filepath.Join(file, "shop"), "not a directory"},
		"reference in path":  {filepath.Join(base, "$HOME"), "character"},
		"line's end in path": {filepath.Join(base, "a\nb"), "character"},
	}
	if os.Geteuid() == 0 {
		closed := filepath.Join(base, "closed")
		if err := os.Mkdir(closed, 0o700); err != nil {
			t.Fatal(err)
		}
		cases["closed to the server"] = struct{ dir, says string }{filepath.Join(closed, "shop"), "may not enter " + closed}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := shop.Open(within(t), shop.Options{Dir: c.dir})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("major that is not installed", func(t *testing.T) {
		_, err := shop.Open(within(t), shop.Options{Dir: filepath.Join(base, "shop"), Major: 9})
		if recovery.ExitOf(err) != recovery.Usage || !strings.Contains(recovery.HintOf(err), "postgresql-9") {
			t.Errorf("error %v, next: %s", err, recovery.HintOf(err))
		}
	})
}
