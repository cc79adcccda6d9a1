package runner

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"comeback/recovery"
	"comeback/recovery/execute"
)

// pathTerminal is a program's terminal, over a connection that is upgraded to
// terminalProtocol: the runner sends what the program shows, as it is; the front
// end sends frames.
const (
	pathTerminal     = "/terminal" // GET, step, columns, rows, term
	terminalProtocol = "comeback-terminal"
)

// A frame is its kind, the length of its content as two bytes, the higher
// first, and the content: what was typed, or columns and rows as two bytes each.
const (
	frameTyped  = 't'
	frameResize = 'r'
	maxFrame    = 1<<16 - 1
)

// Terminal takes the terminal of a step, in this process.
func (r *Run) Terminal(_ context.Context, step string, screen recovery.Screen) (recovery.Terminal, error) {
	return r.terminal(step, r.Operator, screen)
}

// terminal gives a step's terminal to who holds the lease.
func (r *Run) terminal(step, by string, screen recovery.Screen) (recovery.Terminal, error) {
	r.lease.Lock()
	defer r.lease.Unlock()
	if s := r.exec.State(); by != s.Lease {
		return nil, recovery.Errorf("ask for it to be handed over, or take it over with a reason",
			"refused: %s commands run %s, not %s", s.Lease, r.Options.Plan.Run, by).WithExit(recovery.Refused)
	}
	t, err := r.exec.Terminal(step, by, execute.Screen{Columns: screen.Columns, Rows: screen.Rows, Term: screen.Term})
	if err != nil {
		return nil, err
	}
	return seated{t}, nil
}

// seated is a terminal in this process.
type seated struct{ *execute.Terminal }

func (s seated) Resize(columns, rows int) error {
	s.Terminal.Resize(columns, rows)
	return nil
}

// terminal relays a program's terminal to a front end.
func (s *server) terminal(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != terminalProtocol {
		refuse(w, recovery.Errorf("use the version of comeback that runs it", "a terminal is another protocol"))
		return
	}
	q := r.URL.Query()
	t, err := s.run.terminal(q.Get("step"), operator(r), recovery.Screen{Columns: number(q.Get("columns"), 80), Rows: number(q.Get("rows"), 24), Term: q.Get("term")})
	if err != nil {
		refuse(w, err)
		return
	}
	defer t.Close()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, fmt.Errorf("take the connection: %w", err))
		return
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: Upgrade\r\n\r\n", terminalProtocol); err != nil {
		return // the front end has gone
	}
	go func() {
		// The front end's end, however it comes, leaves the seat, and with it
		// the reading below.
		_ = readFrames(buffered, t)
		t.Close()
	}()
	_, _ = io.Copy(conn, t)
}

func number(text string, otherwise int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 10_000 {
		return otherwise
	}
	return n
}

// readFrames carries out what a front end sends, until it has gone.
func readFrames(r io.Reader, t recovery.Terminal) error {
	var head [3]byte
	content := make([]byte, maxFrame)
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		b := content[:binary.BigEndian.Uint16(head[1:])]
		if _, err := io.ReadFull(r, b); err != nil {
			return err
		}
		switch {
		case head[0] == frameTyped:
			if _, err := t.Write(b); err != nil {
				return err
			}
		case head[0] == frameResize && len(b) == 4:
			if err := t.Resize(int(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:]))); err != nil {
				return err
			}
		default:
			return fmt.Errorf("a frame %q is not known", head[0])
		}
	}
}

// Terminal takes the terminal of a step of the run.
func (c *Client) Terminal(ctx context.Context, step string, screen recovery.Screen) (recovery.Terminal, error) {
	u := url.URL{Scheme: "http", Host: "run", Path: pathTerminal, RawQuery: url.Values{"step": {step}, "columns": {strconv.Itoa(screen.Columns)},
		"rows": {strconv.Itoa(screen.Rows)}, "term": {screen.Term}}.Encode()}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("take the terminal: %w", err)
	}
	q.Header.Set(headerOperator, c.operator)
	q.Header.Set("Connection", "Upgrade")
	q.Header.Set("Upgrade", terminalProtocol)
	r, err := c.http.Do(q)
	if err != nil {
		return nil, c.lost(ctx, err)
	}
	if r.StatusCode != http.StatusSwitchingProtocols {
		defer r.Body.Close()
		return nil, c.refused(r)
	}
	conn, ok := r.Body.(io.ReadWriteCloser)
	if !ok {
		return nil, errors.Join(errors.New("take the terminal: the connection cannot be written to"), r.Body.Close())
	}
	return &remoteTerminal{ReadWriteCloser: conn}, nil
}

// remoteTerminal is a terminal in the runner's process.
type remoteTerminal struct {
	io.ReadWriteCloser
	mu sync.Mutex // a frame is whole
}

// Write types.
func (t *remoteTerminal) Write(b []byte) (int, error) {
	n := 0
	for len(b) > 0 {
		part := b[:min(len(b), maxFrame)]
		if err := t.frame(frameTyped, part); err != nil {
			return n, err
		}
		n, b = n+len(part), b[len(part):]
	}
	return n, nil
}

// Resize tells the program that the terminal has another size.
func (t *remoteTerminal) Resize(columns, rows int) error {
	var b [4]byte
	binary.BigEndian.PutUint16(b[:], uint16(columns))
	binary.BigEndian.PutUint16(b[2:], uint16(rows))
	return t.frame(frameResize, b[:])
}

func (t *remoteTerminal) frame(kind byte, content []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := append([]byte{kind, byte(len(content) >> 8), byte(len(content))}, content...)
	if _, err := t.ReadWriteCloser.Write(b); err != nil {
		return fmt.Errorf("type into the terminal: %w", err)
	}
	return nil
}

var (
	_ recovery.Seats = (*Client)(nil)
	_ recovery.Seats = (*Run)(nil)
)
