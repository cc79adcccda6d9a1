package code

import (
	"fmt"
	"slices"
	"testing"

	"comeback/recovery"
)

// recording is a meter that keeps what it is told.
type recording struct {
	recovery.Meter
	told []string
}

func (r *recording) Phase(name string, total int64, unit recovery.Unit) {
	r.told = append(r.told, fmt.Sprintf("%s of %d %s", name, total, unit))
}
func (r *recording) Set(n int64)     { r.told = append(r.told, fmt.Sprint(n)) }
func (r *recording) Log(line string) { r.told = append(r.told, "log: "+line) }

// What git says of how far it is moves the meter, in whatever parts it comes; the rest is logged.
func TestProgress(t *testing.T) {
	const says = "remote: Counting objects:  50% (1/2)   \rremote: Counting objects: 100% (2/2), done.\n" +
		"Receiving objects:  45% (9/20), 1.20 MiB | 2.40 MiB/s   \rReceiving objects: 100% (20/20), 2.00 MiB | 2.40 MiB/s, done.\n" +
		"warning: redirecting to https://elsewhere/\n\nUpdating files: 100% (7/7), done.\n"
	want := []string{"Counting objects of 2 items", "1", "2", "Receiving objects of 20 items", "9", "20", "log: warning: redirecting to https://elsewhere/", "Updating files of 7 items", "7"}
	for _, part := range []int{1, 7, len(says)} {
		meter := &recording{}
		p := &progress{meter: meter}
		for rest := []byte(says); len(rest) > 0; {
			n := min(part, len(rest))
			if _, err := p.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if !slices.Equal(meter.told, want) {
			t.Errorf("in parts of %d bytes shown is %q, want %q", part, meter.told, want)
		}
	}
}
