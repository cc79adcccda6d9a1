package exclusive

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/storage"
)

// asHolder makes this test binary take the target and wait for its end.
const asHolder = "EXCLUSIVE_HOLDER"

// order is what another process is to hold.
type order struct {
	Dir           string
	Holder        Holder
	URL, Endpoint string
}

// TestHolder is the other process; by itself it shows nothing.
func TestHolder(t *testing.T) {
	text := os.Getenv(asHolder)
	if text == "" {
		return
	}
	var o order
	must(t, json.Unmarshal([]byte(text), &o))
	options := Options{Dir: o.Dir, Holder: o.Holder, Now: time.Now}
	options.Holder.PID = os.Getpid()
	if o.URL != "" {
		s, err := openURL(t.Context(), o.URL, o.Endpoint)
		must(t, err)
		options.Stores = []storage.Store{s}
	}
	h, err := Take(t.Context(), []string{target}, options)
	must(t, err)
	os.Stdout.WriteString("\nheld\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	must(t, h.Release(t.Context()))
}

// process is another process that holds the target.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// hold starts a process that holds the target on a host, and dies with the test.
func hold(h *host, c copyOf) *process {
	t := h.t
	t.Helper()
	o := order{Dir: h.Dir, Holder: h.Holder, URL: c.url}
	if c.server != nil {
		o.Endpoint = c.server.Endpoint()
	}
	text, err := json.Marshal(o)
	must(t, err)
	cmd := exec.Command(os.Args[0], "-test.run=^TestHolder$")
	cmd.Env = append(os.Environ(), asHolder+"="+string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	_, err = cmd.StdinPipe()
	must(t, err)
	// The child dies with the thread that started it, so that thread must
	// live as long as the child.
	p := &process{cmd: cmd, done: make(chan struct{})}
	started, held := make(chan error, 1), make(chan bool, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		var said strings.Builder
		lines := bufio.NewScanner(stdout)
		for lines.Scan() && lines.Text() != "held" {
			said.WriteString(lines.Text() + "\n")
		}
		held <- lines.Text() == "held"
		_, _ = io.Copy(&said, stdout)
		_ = cmd.Wait()
		if said.Len() > 0 && !strings.Contains(said.String(), "PASS") && strings.TrimSpace(said.String()) != "" {
			t.Logf("the other process: %s%s", &said, &stderr)
		}
	}()
	must(t, <-started)
	t.Cleanup(p.kill)
	if !<-held {
		<-p.done
		t.Fatal("the other process holds nothing")
	}
	return p
}

// kill ends the process with SIGKILL and returns when it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Two processes of one host: the second is told who is at work, until the first
// is killed.
func TestTake_twoProcesses(t *testing.T) {
	first := newHost(t, "bastion", "7c31")
	second := newHost(t, "bastion", "9f00")
	second.Dir = first.Dir
	p := hold(first, copyOf{})
	err := second.refused("run 7c31 of ops-of-7c31 has been at work on "+target+" since ", "(process ")
	if !strings.Contains(err.Error(), "(process "+itoa(p.cmd.Process.Pid)+")") {
		t.Errorf("%q does not name the process %d", err, p.cmd.Process.Pid)
	}
	p.kill()
	h := second.take()
	must(t, h.Check(t.Context()))
	if len(h.Remarks()) != 1 || !strings.Contains(h.Remarks()[0], "another host") {
		t.Errorf("remarks %q", h.Remarks())
	}
	must(t, h.Release(t.Context()))
	left, err := filepath.Glob(filepath.Join(first.Dir, "*"))
	must(t, err)
	if len(left) != 1 || filepath.Base(left[0]) != "place" {
		t.Errorf("left %q", left)
	}
	hidden, err := filepath.Glob(filepath.Join(first.Dir, ".*"))
	must(t, err)
	if len(hidden) != 0 {
		t.Errorf("left %q", hidden)
	}
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// The holder is killed: a process of its host takes over at once, one of another
// host when the holder has been silent for long enough.
func TestTake_holderKilled(t *testing.T) {
	copies(t, func(t *testing.T, c copyOf) {
		bastion, other := newHost(t, "bastion", "7c31", c), newHost(t, "bastion2", "9f00", c)
		p := hold(bastion, c)
		other.refused("run 7c31 of ops-of-7c31", "on bastion)")
		p.kill()
		other.refused("run 7c31 of ops-of-7c31", "on bastion)")
		c.silence(t, DefaultLease+margin(DefaultLease)+2*time.Second)
		h := other.take()
		must(t, h.Check(t.Context()))
		must(t, h.Release(t.Context()))

		p = hold(bastion, c)
		p.kill()
		again := newHost(t, "bastion", "7c31", c)
		again.Dir = bastion.Dir
		h = again.take()
		must(t, h.Check(t.Context()))
		if got := c.stored(t); got.Token == "" || got.PID != os.Getpid() {
			t.Errorf("stored %+v", got)
		}
	})
}
