package execute

import (
	"testing"

	"comeback/recovery"
)

// An application that said that it was ready was, however soon it ended.
func TestApplication_ready(t *testing.T) {
	closed := make(chan struct{})
	close(closed)
	a := &application{said: closed, done: closed}
	for range 100 { // who is asked first must not matter
		if err := a.ready(t.Context(), recovery.StartArgs{Ready: "listening"}); err != nil {
			t.Fatal(err)
		}
	}
}
