package cnpgtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/moby/spdystream"
)

// portForward carries connections to the server of a cluster, in the streams of SPDY/3.1.
func (s *Server) portForward(w http.ResponseWriter, r *http.Request, pod string) {
	if r.Method != http.MethodPost || !strings.EqualFold(r.Header.Get("Upgrade"), "SPDY/3.1") {
		answer(w, nil, refuse(400, "BadRequest", "Upgrade request required"))
		return
	}
	s.mu.Lock()
	m := s.made[strings.TrimSuffix(pod, "-1")]
	s.mu.Unlock()
	if m == nil || m.port == 0 {
		answer(w, nil, refuse(404, "NotFound", "pods %q not found", pod))
		return
	}
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "SPDY/3.1")
	w.Header().Set("X-Stream-Protocol-Version", "portforward.k8s.io")
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, read, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	spdy, err := spdystream.NewConnection(buffered{conn, read.Reader}, true)
	if err != nil {
		conn.Close()
		return
	}
	var mu sync.Mutex
	failures := map[string]*spdystream.Stream{} // by request
	spdy.Serve(func(stream *spdystream.Stream) {
		if stream.SendReply(http.Header{}, false) != nil {
			return
		}
		id := stream.Headers().Get("requestID")
		if stream.Headers().Get("streamType") == "error" {
			mu.Lock()
			failures[id] = stream
			mu.Unlock()
			return
		}
		mu.Lock()
		failure := failures[id]
		delete(failures, id)
		mu.Unlock()
		go carry(stream, failure, m.port)
	})
}

// carry connects a stream to a server.
func carry(stream, failure *spdystream.Stream, port int) {
	if failure != nil {
		defer failure.Close()
	}
	defer stream.Close()
	server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		if failure != nil {
			fmt.Fprint(failure, err)
		}
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, stream) // either side may end first
		server.Close()
	}()
	_, _ = io.Copy(stream, server)
}

// buffered is a connection of which a part was read already.
type buffered struct {
	net.Conn
	read *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.read.Read(p) }
