package recovery

import (
	"errors"

	"comeback/storage"
)

// CopyHint is what to do next where a copy has failed while a step read from it; "" where it
// was something else. What came damaged is told by whoever knows what else there is to choose.
func CopyHint(err error) string {
	switch {
	case errors.Is(err, storage.ErrChanged), errors.Is(err, storage.ErrNotExist):
		return "find out who writes to the copy, then make a new plan"
	case errors.Is(err, storage.ErrUnavailable):
		return "check the network and the copy's endpoint, then retry: nothing is proven to be missing"
	case errors.Is(err, storage.ErrArchived):
		return RestoreArchived
	case errors.Is(err, storage.ErrDenied), errors.Is(err, storage.ErrExpired):
		return "renew the credentials, then retry"
	}
	return ""
}
