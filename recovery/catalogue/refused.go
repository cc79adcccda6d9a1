package catalogue

import (
	"errors"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

// Refused is a copy that could not be judged for one reason, whichever surveys it stood in the
// way of: who is told of it needs to hear it once.
type Refused struct {
	Copy string
	// Components and Engines are those whose surveys could not be made.
	Components, Engines []string
	// Whole says that the copy itself cannot be reached, so that nothing of it was looked at.
	Whole bool
	// Err is why, with what to do as its hint.
	Err error
}

// Refused are the copies that could not be judged, each once for each reason, in the order of
// the surveys.
func (c Catalogue) Refused() []Refused {
	var all []Refused
	for _, r := range c.Refusals {
		whole, why := Unreachable(r.Err), Cause(r.Err)
		i := slices.IndexFunc(all, func(of Refused) bool {
			return of.Copy == r.Copy && (whole && of.Whole || why == Cause(of.Err))
		})
		if i < 0 {
			i = len(all)
			all = append(all, Refused{Copy: r.Copy, Whole: whole, Err: r.Err})
		} else if r.Err.Error() != all[i].Err.Error() { // an engine's own words before the store's are no longer those of all
			first := all[i].Err
			all[i].Err = &recovery.Error{What: Cause(first), Hint: recovery.HintOf(first), Err: first}
		}
		add := func(to *[]string, name string) {
			if !slices.Contains(*to, name) {
				*to = append(*to, name)
			}
		}
		add(&all[i].Components, r.Component)
		add(&all[i].Engines, r.Engine)
	}
	return all
}

// Beside are those of which an error does not tell all: why, and what to do.
func Beside(all []Refused, err error) []Refused {
	return slices.DeleteFunc(all, func(r Refused) bool {
		return err != nil && strings.Contains(err.Error(), Cause(r.Err)) && strings.Contains(recovery.HintOf(err), recovery.HintOf(r.Err))
	})
}

// Unreachable reports whether an error says that a copy as a whole cannot be reached, and not
// that something in it is refused or missing.
func Unreachable(err error) bool {
	return errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrExpired) || errors.Is(err, storage.ErrConfig)
}

// Cause is why in the words of the store, where it is one that refuses: engines put their own
// before them.
func Cause(err error) string {
	var stored *storage.Error
	if errors.As(err, &stored) {
		return stored.Error()
	}
	return err.Error()
}
