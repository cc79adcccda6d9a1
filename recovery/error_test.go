package recovery_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"comeback/recovery"
)

// Each cause of an error is known to be one, however many there are, and so are their hints.
func TestErrorf_causes(t *testing.T) {
	inner := recovery.Errorf("mount it", "%w", io.ErrClosedPipe).WithExit(recovery.Refused)
	for name, err := range map[string]error{
		"one":     recovery.Errorf("", "read: %w", inner),
		"two":     recovery.Errorf("", "%w: %w", io.EOF, inner),
		"wrapped": fmt.Errorf("stage 2: %w", recovery.Errorf("", "%w: %w", inner, io.EOF)),
	} {
		if !errors.Is(err, io.ErrClosedPipe) || errors.Is(err, io.EOF) == (name == "one") {
			t.Errorf("%s: %v has other causes", name, err)
		}
		if hint, exit := recovery.HintOf(err), recovery.ExitOf(err); hint != "mount it" || exit != recovery.Refused {
			t.Errorf("%s: hint %q, exit %d", name, hint, exit)
		}
	}
	if err := recovery.Errorf("", "nothing caused it"); errors.Unwrap(err) != nil {
		t.Errorf("%v has a cause: %v", err, errors.Unwrap(err))
	}
}
