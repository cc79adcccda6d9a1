package s3

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// wire asks for many small objects. net/http hands each request to a goroutine that writes and
// each answer to one that reads, and three quarters of a second of a processor for 20 000 small
// objects were spent on waking them up. Here whoever asks writes and reads by itself, with
// net/http's own writer and reader of messages, over connections as the SDK's client makes them.
// It speaks HTTP/1.1, as S3 does. A request that fails is not made again: whoever asked has the
// SDK for that. What is behind a proxy is left to the SDK's client.
type wire struct {
	otherwise s3.HTTPClient
	proxy     func(*http.Request) (proxied bool)
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	tls       *tls.Config // before the server's name is in it

	mu    sync.Mutex
	idle  map[string][]*line // by scheme and address, the last used one last
	sweep *time.Timer        // nil while none is idle
}

const (
	// answerWithin is how long a service may take to begin an answer.
	answerWithin = time.Minute
	// headMost is how long the head of an answer may be.
	headMost = 1 << 20
	// idleMost is how many connections to a service are kept for the next request, and idleFor
	// how long at most: services close those that nothing comes on after a while.
	idleMost = 64
	idleFor  = 20 * time.Second
)

// wired asks directly where a client is the SDK's, and is that client otherwise.
func wired(client s3.HTTPClient) s3.HTTPClient {
	sdk, ok := client.(*awshttp.BuildableClient)
	if !ok {
		return client
	}
	t := sdk.GetTransport()
	if t.DialContext == nil || t.DialTLSContext != nil {
		return client
	}
	w := &wire{otherwise: client, dial: t.DialContext, tls: t.TLSClientConfig, idle: map[string][]*line{}}
	w.proxy = func(r *http.Request) bool {
		if t.Proxy == nil {
			return false
		}
		at, err := t.Proxy(r)
		return at != nil || err != nil
	}
	return w
}

// Do makes a request without a body, once.
func (w *wire) Do(r *http.Request) (*http.Response, error) {
	if w.proxy(r) {
		return w.otherwise.Do(r)
	}
	l, err := w.line(r)
	if err != nil {
		return nil, err
	}
	return l.ask(r)
}

// line is a connection that is not in use, or a new one.
func (w *wire) line(r *http.Request) (*line, error) {
	to := r.URL.Scheme + "://" + r.URL.Host
	w.mu.Lock()
	if all := w.idle[to]; len(all) > 0 {
		l := all[len(all)-1]
		w.idle[to] = all[:len(all)-1]
		w.mu.Unlock()
		return l, nil
	}
	w.mu.Unlock()
	conn, err := w.connect(r)
	if err != nil {
		return nil, err
	}
	l := &line{wire: w, to: to, conn: conn}
	l.in, l.out = bufio.NewReaderSize(l, 16<<10), bufio.NewWriterSize(conn, 4<<10)
	return l, nil
}

func (w *wire) connect(r *http.Request) (net.Conn, error) {
	address, port := r.URL.Hostname(), r.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[r.URL.Scheme]
	}
	conn, err := w.dial(r.Context(), "tcp", net.JoinHostPort(address, port))
	if err != nil || r.URL.Scheme != "https" {
		return conn, err
	}
	c := w.tls.Clone()
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.NextProtos = nil; c.ServerName == "" {
		c.ServerName = address
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	secure := tls.Client(conn, c)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// keep has a connection for the next request.
func (w *wire) keep(l *line) {
	l.since = time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.idle[l.to]) >= idleMost {
		l.conn.Close()
		return
	}
	w.idle[l.to] = append(w.idle[l.to], l)
	if w.sweep == nil {
		w.sweep = time.AfterFunc(idleFor, w.closeIdle)
	}
}

// closeIdle closes what nobody has used for a while.
func (w *wire) closeIdle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sweep = nil
	for to, all := range w.idle {
		for len(all) > 0 && time.Since(all[0].since) >= idleFor {
			all[0].conn.Close()
			all = all[1:]
		}
		if w.idle[to] = all; len(all) == 0 {
			delete(w.idle, to)
		} else if w.sweep == nil {
			w.sweep = time.AfterFunc(idleFor, w.closeIdle)
		}
	}
}

// line is a connection with one request at a time.
type line struct {
	wire  *wire
	to    string
	conn  net.Conn
	in    *bufio.Reader // of the line
	out   *bufio.Writer // to the connection
	head  int64         // what of the head of an answer may still come, while it is read
	since time.Time     // of the last request's end
}

var errLongHead = errors.New("the head of the answer does not end")

// Read reads from the connection; of the head of an answer not more than that may have.
func (l *line) Read(p []byte) (int, error) {
	if l.head == 0 {
		return 0, errLongHead
	}
	n, err := l.conn.Read(p)
	if l.head > 0 {
		l.head = max(l.head-int64(n), 0)
	}
	return n, err
}

// ask makes a request. The end of its context, and a service that does not begin to answer,
// end what is under way on the connection, which is closed then.
func (l *line) ask(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	end := func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) }
	ended := context.AfterFunc(ctx, end)
	late := time.AfterFunc(answerWithin, end)
	answer, err := l.answer(r)
	if !late.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	if err != nil {
		ended()
		l.conn.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	answer.Body = &wiredBody{line: l, ctx: ctx, ended: ended, body: answer.Body, left: answer.ContentLength, closes: answer.Close}
	return answer, nil
}

func (l *line) answer(r *http.Request) (*http.Response, error) {
	l.head = headMost
	defer func() { l.head = -1 }()
	if err := errors.Join(r.Write(l.out), l.out.Flush()); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(l.in, r)
	if err == nil && answer.StatusCode < 200 {
		err = errors.New("the service answers that it will answer: " + answer.Status)
	}
	return answer, err
}

// wiredBody is the body of an answer, at whose end the connection is free again.
type wiredBody struct {
	line   *line
	ctx    context.Context
	ended  func() bool // leaves the connection alone when the context ends
	body   io.ReadCloser
	left   int64 // what of it has not come yet; less than 0 where nobody knows
	closes bool  // the service closes the connection
	err    error // what Read says from now on
}

func (b *wiredBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.body.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
	}
	if err != nil && err != io.EOF && b.ctx.Err() != nil {
		err = b.ctx.Err()
	}
	if err != nil {
		b.done(err, err == io.EOF)
	}
	return n, err
}

// Close gives the connection back where all of the body has come.
func (b *wiredBody) Close() error {
	if b.err == nil {
		b.done(net.ErrClosed, b.left == 0)
	}
	return nil
}

func (b *wiredBody) done(err error, whole bool) {
	b.err = err
	// What comes without having been asked for is no answer to what is asked next.
	if alive := b.ended(); alive && whole && !b.closes && b.line.in.Buffered() == 0 {
		b.line.wire.keep(b.line)
		return
	}
	b.line.conn.Close()
}
