package storage

import "strings"

// Error is what a store says when it cannot do what it was asked: what was
// tried, on which object, and why not, in the words of whoever refused. It
// holds no secret.
type Error struct {
	// Op is the verb of the sentence, such as "list", "put" or "look for unfinished
	// uploads of".
	Op string
	// Object is the URL of the object, or of the place.
	Object string
	// Kind is one of this package's errors, a context's error, or nil where
	// none of them fits.
	Kind error
	// Says are the words of the service or the operating system.
	Says string
	// Err is the cause, for errors.Is and errors.As; it is not printed.
	Err error
}

func (e *Error) Error() string {
	parts := []string{strings.TrimSpace(e.Op + " " + e.Object)}
	if e.Kind != nil {
		parts = append(parts, e.Kind.Error())
	}
	if e.Says != "" {
		parts = append(parts, e.Says)
	}
	return strings.Join(parts, ": ")
}

// Unwrap gives the kind and the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.Kind != nil {
		errs = append(errs, e.Kind)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// NoProfile is the cause of an ErrConfig: the profile by which a copy is asked is in no
// configuration file of this host.
type NoProfile struct{ Name string }

func (n NoProfile) Error() string { return "there is no profile " + n.Name + " on this host" }
