package storagetest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy is a TCP proxy on the loopback interface that can break connections.
type Proxy struct {
	listener         net.Listener
	network, address string // where it leads
	wg               sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	refuse bool
	every  bool
	cut    int64 // bytes towards clients until the next cut; -1: none
	mark   int64 // what cut begins with
	cuts   int
}

// StartProxy leads connections to an address until the test ends.
func StartProxy(t testing.TB, network, address string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, network: network, address: address, conns: map[net.Conn]bool{}, cut: -1}
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Address is the host and port to connect to.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// CutAfter resets the connection that carries the n-th byte from now towards a
// client, after that byte, once.
func (p *Proxy) CutAfter(n int64) { p.arm(n, false) }

// CutEvery does so again and again: after each cut it counts from 0.
func (p *Proxy) CutEvery(n int64) { p.arm(n, true) }

func (p *Proxy) arm(n int64, every bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.mark, p.every = n, n, every
}

// Refuse resets all connections, those there are and those that come, or lets
// them come again.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
	if refuse {
		for c := range p.conns {
			reset(c)
		}
	}
}

// Heal lets everything through.
func (p *Proxy) Heal() {
	p.arm(-1, false)
	p.Refuse(false)
}

// Cuts is how many connections were cut.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	if !p.hold(client) {
		reset(client)
		return
	}
	defer p.release(client)
	server, err := net.Dial(p.network, p.address)
	if err != nil {
		reset(client)
		return
	}
	defer server.Close()
	if !p.hold(server) {
		return
	}
	defer p.release(server)
	p.wg.Go(func() {
		_, _ = io.Copy(server, client)
		server.Close()
	})
	p.answer(client, server)
}

// answer copies towards the client as far as it may.
func (p *Proxy) answer(client, server net.Conn) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := server.Read(buffer)
		allowed, cut := p.allow(n)
		if _, failed := client.Write(buffer[:allowed]); failed != nil || err != nil {
			return
		}
		if cut {
			reset(client)
			return
		}
	}
}

// allow takes bytes off what may pass before the next cut.
func (p *Proxy) allow(n int) (allowed int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut < 0 || int64(n) < p.cut {
		if p.cut > 0 {
			p.cut -= int64(n)
		}
		return n, false
	}
	allowed = int(p.cut)
	p.cut = -1
	if p.every {
		p.cut = p.mark
	}
	p.cuts++
	return allowed, true
}

func (p *Proxy) hold(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.refuse {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) release(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// close ends all connections and waits for what serves them.
func (p *Proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

// reset ends a connection so that the peer's next read fails.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}
