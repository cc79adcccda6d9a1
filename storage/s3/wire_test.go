package s3

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// wires are the SDK's client, made to ask directly.
func wires(t *testing.T, how func(*http.Transport)) *wire {
	t.Helper()
	w, ok := wired(awshttp.NewBuildableClient().WithTransportOptions(how)).(*wire)
	if !ok {
		t.Fatal("the SDK's client is asked")
	}
	return w
}

// direct is a wire without a proxy.
func direct(t *testing.T) *wire { return wires(t, func(t *http.Transport) { t.Proxy = nil }) }

// counted is a server that counts its connections.
func counted(t *testing.T, handler http.HandlerFunc) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	opened := new(atomic.Int32)
	s := httptest.NewUnstartedServer(handler)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, opened
}

func request(ctx context.Context, t *testing.T, at string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fetches asks for something and reads all of it.
func fetches(ctx context.Context, t *testing.T, w *wire, at string) (string, error) {
	t.Helper()
	answer, err := w.Do(request(ctx, t, at))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(answer.Body)
	return string(text), errors.Join(err, answer.Body.Close())
}

// A connection is used again after an answer that was read to its end, and after no other.
func TestWire_reuse(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	server, opened := counted(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/chunked":
			fmt.Fprint(w, "a")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "b")
		case "/empty":
		case "/closes":
			w.Header().Set("Connection", "close")
			fmt.Fprint(w, "last")
		case "/long":
			w.Header().Set("Content-Length", strconv.Itoa(len(long)))
			fmt.Fprint(w, long)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "not here")
		}
	})
	w := direct(t)
	for _, c := range []struct {
		path, want string
		opened     int32
	}{{"/chunked", "ab", 1}, {"/empty", "", 1}, {"/long", long, 1}, {"/missing", "not here", 1}, {"/closes", "last", 1}, {"/empty", "", 2}, {"/long", long, 2}} {
		if got, err := fetches(t.Context(), t, w, server.URL+c.path); got != c.want || err != nil || opened.Load() != c.opened {
			t.Errorf("%s: %d bytes, %v, over connection %d, want %d", c.path, len(got), err, opened.Load(), c.opened)
		}
	}
	half, err := w.Do(request(t.Context(), t, server.URL+"/long"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(half.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	half.Body.Close()
	if n, err := half.Body.Read(make([]byte, 1)); n > 0 || err == nil || err == io.EOF {
		t.Errorf("what was closed gives %d bytes and %v", n, err)
	}
	whole, err := w.Do(request(t.Context(), t, server.URL+"/long"))
	if err != nil || opened.Load() != 3 {
		t.Fatalf("%v, over connection %d", err, opened.Load())
	}
	if _, err := io.ReadFull(whole.Body, make([]byte, len(long))); err != nil {
		t.Fatal(err)
	}
	whole.Body.Close() // its end was not asked for, and has come
	if _, err := fetches(t.Context(), t, w, server.URL+"/empty"); err != nil || opened.Load() != 3 {
		t.Errorf("%v, over connection %d", err, opened.Load())
	}
}

// The end of a context ends a connection, before and within an answer.
func TestWire_canceled(t *testing.T) {
	begun := make(chan struct{}, 2)
	server, opened := counted(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/silent":
			begun <- struct{}{}
			<-r.Context().Done()
		case "/half":
			w.Header().Set("Content-Length", "2")
			fmt.Fprint(w, "a")
			w.(http.Flusher).Flush()
			begun <- struct{}{}
			<-r.Context().Done()
		}
	})
	w := direct(t)
	for _, path := range []string{"/silent", "/half"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-begun
			cancel()
		}()
		if got, err := fetches(ctx, t, w, server.URL+path); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %q, %v", path, got, err)
		}
		before := opened.Load()
		if _, err := fetches(t.Context(), t, w, server.URL+"/"); err != nil || opened.Load() != before+1 {
			t.Errorf("after %s: %v, over connection %d after %d", path, err, opened.Load(), before)
		}
		w.mu.Lock()
		clear(w.idle)
		w.mu.Unlock()
	}
	ctx, cancel := context.WithCancel(t.Context())
	answer, err := w.Do(request(ctx, t, server.URL+"/"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(answer.Body); err != nil {
		t.Fatal(err)
	}
	before := opened.Load()
	cancel() // of a request that has ended: the next one has the connection for itself
	if _, err := fetches(t.Context(), t, w, server.URL+"/"); err != nil || opened.Load() != before {
		t.Errorf("%v, over connection %d after %d", err, opened.Load(), before)
	}
}

// says is a server that says the same on each connection, when it was asked for something.
func says(t *testing.T, text func(io.Writer)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					text(conn)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// What is no answer is an error, and what comes behind one is no answer to anything.
func TestWire_odd(t *testing.T) {
	endless := says(t, func(w io.Writer) {
		if _, err := io.WriteString(w, "HTTP/1.1 200 OK\r\n"); err != nil {
			return
		}
		for {
			if _, err := io.WriteString(w, "X-More: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
				return
			}
		}
	})
	for name, c := range map[string]struct{ at, says string }{
		"a head without an end": {endless, errLongHead.Error()},
		"nothing":               {says(t, func(io.Writer) {}), "EOF"},
		"no HTTP":               {says(t, func(w io.Writer) { _, _ = io.WriteString(w, "220 mail.example ESMTP\r\n\r\n") }), "malformed"},
		"an answer to come":     {says(t, func(w io.Writer) { _, _ = io.WriteString(w, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n") }), "103"},
		"half of an answer":     {says(t, func(w io.Writer) { _, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc") }), "unexpected EOF"},
	} {
		if got, err := fetches(t.Context(), t, direct(t), c.at); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	w := direct(t)
	more := says(t, func(w io.Writer) {
		_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb")
	})
	for range 2 {
		if got, err := fetches(t.Context(), t, w, more); got != "a" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// A connection that the service has closed meanwhile is an error, which whoever asked has the
// SDK for.
func TestWire_closedMeanwhile(t *testing.T) {
	server, _ := counted(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a") })
	w := direct(t)
	if _, err := fetches(t.Context(), t, w, server.URL); err != nil {
		t.Fatal(err)
	}
	server.CloseClientConnections()
	if got, err := fetches(t.Context(), t, w, server.URL); err == nil {
		t.Errorf("it answers %q over a closed connection", got)
	}
	if got, err := fetches(t.Context(), t, w, server.URL); got != "a" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TLS holds a server against the authorities of the SDK's client, and its own name.
func TestWire_TLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto, r.Host) }))
	t.Cleanup(server.Close)
	known := x509.NewCertPool()
	known.AddCert(server.Certificate())
	trusting := wires(t, func(t *http.Transport) {
		t.Proxy, t.TLSClientConfig = nil, &tls.Config{RootCAs: known, MinVersion: tls.VersionTLS12}
	})
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fetches(t.Context(), t, trusting, server.URL); got != "HTTP/1.1"+at.Host || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for name, w := range map[string]*wire{"an unknown authority": direct(t), "another name": wires(t, func(t *http.Transport) {
		t.Proxy, t.TLSClientConfig = nil, &tls.Config{RootCAs: known, ServerName: "another.test", MinVersion: tls.VersionTLS12}
	})} {
		_, err := fetches(t.Context(), t, w, server.URL)
		if _, is := errors.AsType[*tls.CertificateVerificationError](err); !is {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is behind a proxy is asked for by the SDK's client.
func TestWire_proxy(t *testing.T) {
	proxy, _ := counted(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "by the proxy: "+r.RequestURI) })
	w := wires(t, func(t *http.Transport) {
		t.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
	})
	if got, err := fetches(t.Context(), t, w, "http://s3.test/shop/a"); got != "by the proxy: http://s3.test/shop/a" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Connections that nobody uses are closed, and no more are kept than a restore has.
func TestWire_idle(t *testing.T) {
	server, _ := counted(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a") })
	w := direct(t)
	var all []*http.Response
	for range idleMost + 2 {
		answer, err := w.Do(request(t.Context(), t, server.URL))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, answer)
	}
	for _, answer := range all {
		if _, err := io.ReadAll(answer.Body); err != nil {
			t.Fatal(err)
		}
	}
	w.mu.Lock()
	kept := w.idle[server.URL]
	for _, l := range kept[:3] {
		l.since = l.since.Add(-2 * idleFor)
	}
	w.mu.Unlock()
	if len(kept) != idleMost {
		t.Errorf("%d connections are kept", len(kept))
	}
	w.closeIdle()
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.idle[server.URL]); n != idleMost-3 || w.sweep == nil {
		t.Errorf("%d connections are kept, and looked at again: %v", n, w.sweep != nil)
	}
	for i, l := range kept {
		if err := l.conn.SetDeadline(l.since); errors.Is(err, net.ErrClosed) != (i < 3) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}
