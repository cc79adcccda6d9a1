package recovery_test

import (
	"testing"

	"comeback/recovery"
)

// A user of a host is nobody else in a journal.
func TestNamed(t *testing.T) {
	for name, want := range map[string]string{"ops1": "ops1", "comeback": "user comeback", "nobody": "user nobody"} {
		if got := recovery.Named(name); got != want {
			t.Errorf("%s is called %q, want %q", name, got, want)
		}
	}
}
