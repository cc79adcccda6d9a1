package recovery

import (
	"errors"
	"fmt"
)

// Exit is the exit code of a command that runs something.
type Exit int

// The exit codes of runs.
const (
	CameBack       Exit = 0   // came back, or rehearsed and cleaned up; every check held
	Failed         Exit = 1   // failed
	Usage          Exit = 2   // the command, the runbook or its environment is wrong
	Refused        Exit = 3   // refused by a guard
	NotEnded       Exit = 4   // left, cut off, or its runner died
	WithExceptions Exit = 5   // came back with exceptions, unprotected, or not cleaned up
	Interrupted    Exit = 130 // interrupted and stopped
)

// Error is a failure that a person must act on: what happened and what to do
// next, each one sentence, both free of secrets.
type Error struct {
	// What says what is wrong, with the object's name, in the words of
	// whoever found it (PostgreSQL's own, the service's own).
	What string
	// Hint says what to do next.
	Hint string
	// Exit is the code that the command ends with; zero means Failed.
	Exit Exit
	// Err is the cause, for errors.Is; it is not printed.
	Err error
}

func (e *Error) Error() string { return e.What }

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a hint. Each %w in the format is kept as a cause.
func Errorf(hint, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	cause := errors.Unwrap(err)
	if _, several := err.(interface{ Unwrap() []error }); several {
		cause = err
	}
	return &Error{What: err.Error(), Hint: hint, Err: cause}
}

// WithExit is the same error with another exit code.
func (e *Error) WithExit(code Exit) *Error {
	c := *e
	c.Exit = code
	return &c
}

// ErrUnfit says that a value which a person has given opens nothing of what it was given for:
// a key for which nothing was encrypted, a password that is not the repository's. The right
// one brings the same to a good end. What wraps it names where the value comes from, as the
// runbook does ("${CONFIG_IDENTITY}"), and never the value.
var ErrUnfit = errors.New("what was given does not open it")

// HintOf is the hint of the first Error in err's chain, or "".
func HintOf(err error) string {
	var e *Error
	for errors.As(err, &e) {
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// ExitOf is the exit code that err asks for: CameBack for nil, Failed where
// nothing says otherwise.
func ExitOf(err error) Exit {
	if err == nil {
		return CameBack
	}
	var e *Error
	for errors.As(err, &e) {
		if e.Exit != CameBack {
			return e.Exit
		}
		err = e.Err
	}
	return Failed
}
