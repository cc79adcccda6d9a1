package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"comeback/port"
	"comeback/recovery/isolation"
	"comeback/recovery/postgres"
	"comeback/shop/shoptest"

	"github.com/jackc/pgx/v5"
)

// production is what a rehearsal must not reach: a second cluster and a web
// server on this host, that count whoever comes.
type production struct {
	files    string   // a directory that everybody may write to
	written  []string // what the ways out write there
	socket   string   // of the cluster, which the runbook does not name
	abstract string   // the name of its socket without a path; before 14 it has none
	port     string   // of the cluster
	pid      int      // its postmaster
	web, udp string   // ports
	hosts    []string

	began chan string // the application's name of each session
	heard chan string // datagrams
	asked atomic.Int64
}

func newProduction(t *testing.T) *production {
	t.Helper()
	p := &production{files: filepath.Join(shoptest.Dir(t), "files"), written: []string{"new", "by-server"},
		socket: filepath.Join(shoptest.Dir(t), "run"),
		hosts:  hostAddresses(t), began: make(chan string, 1000), heard: make(chan string, 1000)}
	for _, dir := range []string{p.files, p.socket} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(p.files, "precious"), []byte("precious\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.serveWeb(t)
	p.hearDatagrams(t)
	p.startCluster(t)
	return p
}

// hostAddresses are the addresses under which this host reaches itself.
func hostAddresses(t *testing.T) []string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for _, a := range addresses {
		ip, _, err := net.ParseCIDR(a.String())
		if err != nil || ip.IsLinkLocalUnicast() {
			continue
		}
		hosts = append(hosts, ip.String())
	}
	return hosts
}

func (p *production) serveWeb(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		io.WriteString(w, "production\n")
	}))
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	p.web = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

func (p *production) hearDatagrams(t *testing.T) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	p.udp = strconv.Itoa(c.LocalAddr().(*net.UDPAddr).Port)
	go func() {
		b := make([]byte, 1500)
		for {
			n, _, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			p.heard <- strings.TrimSpace(string(b[:n]))
		}
	}()
}

// startCluster makes and starts the cluster; it accepts connections when this
// returns, and is gone when the test ends.
func (p *production) startCluster(t *testing.T) {
	t.Helper()
	tools, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	dir := shoptest.Dir(t)
	data := filepath.Join(dir, "data")
	attr := func() *syscall.SysProcAttr {
		a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGQUIT}
		if owner.UID >= 0 {
			a.Credential = &syscall.Credential{Uid: uint32(owner.UID), Gid: uint32(owner.GID)}
		}
		return a
	}
	if owner.UID >= 0 {
		if err := os.Chown(dir, owner.UID, owner.GID); err != nil {
			t.Fatal(err)
		}
	}
	initdb := exec.CommandContext(t.Context(), tools.Program("initdb"), "-D", data, "-U", "postgres", "--auth", "trust", "--no-sync", "--locale", "C.UTF-8")
	initdb.Dir, initdb.SysProcAttr = "/", attr()
	initdb.SysProcAttr.Pdeathsig = 0
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	hba := "local all all trust\n"
	for _, h := range p.hosts {
		hba += fmt.Sprintf("host all all %s/%d trust\n", h, map[bool]int{true: 32, false: 128}[net.ParseIP(h).To4() != nil])
	}
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		t.Fatal(err)
	}
	kept, err := port.Keep()
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close() // by then the server has it
	p.port = strconv.Itoa(kept.Number)
	sockets := p.socket
	if tools.Major >= 14 {
		p.abstract = "comeback-" + filepath.Base(filepath.Dir(p.socket))
		sockets += ",@" + p.abstract
	}
	server := exec.Command(tools.Program("postgres"), "-D", data, "-p", p.port, "-h", strings.Join(p.hosts, ","), "-k", sockets,
		"-c", "wal_level=logical", "-c", "fsync=off", "-c", "log_connections=on", "-c", "logging_collector=off", "-c", "lc_messages=C")
	server.Dir, server.SysProcAttr = "/", attr()
	log, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	started, exited := make(chan error), make(chan struct{})
	go isolation.OnThread(func() { // the thread must outlive the server
		err := server.Start()
		started <- err
		if err == nil {
			<-exited
			server.Wait()
			close(started)
		}
	})
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	p.pid = server.Process.Pid
	ready := make(chan struct{})
	go p.readLog(log, ready, exited)
	t.Cleanup(func() {
		syscall.Kill(p.pid, syscall.SIGQUIT)
		<-started
	})
	select {
	case <-ready:
	case <-exited:
		t.Fatal("production's cluster ended before it was ready")
	case <-t.Context().Done():
		t.Fatal("production's cluster is not ready")
	}
}

// readLog tells of each session, which is logged before it can do anything.
func (p *production) readLog(log io.Reader, ready, exited chan struct{}) {
	defer close(exited)
	told := sync.OnceFunc(func() { close(ready) }) // it tells it again after a crash
	for lines := bufio.NewScanner(log); lines.Scan(); {
		line := lines.Text()
		if strings.Contains(line, "ready to accept connections") {
			told()
		}
		if _, session, ok := strings.Cut(line, "connection authorized: "); ok {
			_, application, _ := strings.Cut(session, "application_name=")
			p.began <- application
		}
	}
}

// conninfo is how the cluster is reached by its socket.
func (p *production) conninfo() string {
	return fmt.Sprintf("host=%s port=%s user=postgres dbname=postgres", p.socket, p.port)
}

// exec runs statements in the cluster.
func (p *production) exec(t *testing.T, texts ...string) {
	t.Helper()
	statements(t, p.conninfo(), texts...)
}

// visits is who came since it was last asked: sessions of the cluster,
// datagrams, requests to the web server.
func (p *production) visits(t *testing.T) (sessions, datagrams []string, requests int64) {
	t.Helper()
	// What came before these two is seen before them.
	statements(t, p.conninfo()+" application_name=end")
	conn, err := net.Dial("udp", "127.0.0.1:"+p.udp)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "end"); err != nil {
		t.Fatal(err)
	}
	until := func(from chan string) (all []string) {
		for {
			select {
			case s := <-from:
				if s == "end" {
					return all
				}
				all = append(all, s)
			case <-t.Context().Done():
				t.Fatalf("nothing more is seen after %q", all)
			}
		}
	}
	return until(p.began), until(p.heard), p.asked.Swap(0)
}

// statements runs them, and opens a session even for none.
func statements(t *testing.T, conninfo string, texts ...string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, conninfo)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, s := range texts {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}
