package shop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"comeback/port"
	"comeback/recovery/isolation"
)

// Serve opens the application of a furnished shop to visitors of this host, in place of
// one that was open before, and gives its address. Remove ends it, and the end of this
// process, unless it is detached.
func (s *Shop) Serve(ctx context.Context, detached bool) (address string, err error) {
	if err := s.closeApp(); err != nil {
		return "", fmt.Errorf("open the shop: %w", err)
	}
	kept, err := port.Keep()
	if err != nil {
		return "", fmt.Errorf("open the shop: %w", err)
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	host := kept.Address()
	log, err := os.OpenFile(s.visits(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", fmt.Errorf("open the shop: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(s.App(), "bin", "serve"), "http://"+host, s.URL(), s.Uploads(), s.Settings())
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.App(), []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if !detached {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the signal comes with the end of the thread
		err := cmd.Start()
		if started <- err; err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return "", fmt.Errorf("open the shop: %w", err)
	}
	if err := os.WriteFile(s.serving(), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return "", errors.Join(fmt.Errorf("open the shop: %w", err), cmd.Process.Kill())
	}
	tick := time.NewTicker(connectPoll)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", host)
		if err == nil {
			return "http://" + host, conn.Close()
		}
		select {
		case err := <-ended:
			says, _ := os.ReadFile(s.visits()) // without it the reason is poorer
			return "", fmt.Errorf("open the shop: %w: %s", err, bytes.TrimSpace(says))
		case <-tick.C:
		case <-ctx.Done():
			return "", errors.Join(fmt.Errorf("open the shop: %w", context.Cause(ctx)), cmd.Process.Kill())
		}
	}
}

// visits is what the application says, serving its process.
func (l Layout) visits() string  { return filepath.Join(l.Dir, "app.log") }
func (l Layout) serving() string { return filepath.Join(l.Dir, "app.pid") }

// closeApp ends the application, whoever started it, and returns when it is gone. A
// process of its number that does not stand in its directory is another's.
func (l Layout) closeApp() error {
	b, err := os.ReadFile(l.serving())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 1 {
		return nil // it was cut off before it was written
	}
	p, err := isolation.OpenProcess(pid)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the application: %w", err)
	}
	defer p.Close()
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if app, _ := filepath.EvalSymlinks(l.App()); err != nil || cwd != l.App() && cwd != app {
		return nil
	}
	if err := p.Kill(); err != nil {
		return fmt.Errorf("end the application: %w", err)
	}
	if ended, err := p.Wait(10 * time.Second); err != nil || !ended {
		return errors.Join(errors.New("end the application: it goes on"), err)
	}
	return nil
}
