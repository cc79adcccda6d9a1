package verify

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// PostgreSQL's codes for a server that ends or has not begun.
const (
	adminShutdown    = "57P01"
	crashShutdown    = "57P02"
	cannotConnectNow = "57P03"
)

// stopped is the error of a server that is not there.
type stopped struct {
	says, hint string
	err        error
}

func (e *stopped) Error() string { return e.says }
func (e *stopped) Unwrap() error { return e.err }

// notRunning tells a server that is not there from a query that fails, in the
// words of whoever noticed.
func notRunning(err error, component string) error {
	is := func(what, words, hint string) error {
		return &stopped{fmt.Sprintf("the restored server of %s %s: %s", component, what, words), hint, err}
	}
	const again, later = "try again: its server is started again first", "try again in a moment"
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case adminShutdown, crashShutdown:
			return is("went away", pg.Message, again)
		case cannotConnectNow:
			return is("takes no connections", pg.Message, later)
		}
		return err
	}
	var op *net.OpError
	var number syscall.Errno
	errors.As(err, &number)
	switch {
	case number == syscall.ECONNREFUSED, number == syscall.ENOENT:
		words := number.Error()
		if errors.As(err, &op) && op.Addr != nil {
			words += " at " + op.Addr.String()
		}
		return is("is not running", words, again)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), number == syscall.ECONNRESET, number == syscall.EPIPE:
		return is("went away", "it broke off the connection", again)
	}
	return err
}
