package dump

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"comeback/recovery"
	"comeback/recovery/dump/script"
)

// shownMeter keeps what is shown.
type shownMeter struct {
	recovery.Meter
	all []string
}

func (m *shownMeter) Phase(name string, total int64, _ recovery.Unit) {
	m.all = append(m.all, fmt.Sprintf("%s of %d", name, total))
}
func (m *shownMeter) Set(n int64)                              { m.all = append(m.all, fmt.Sprint(n)) }
func (m *shownMeter) Add(n int64)                              { m.all = append(m.all, fmt.Sprint("and ", n)) }
func (m *shownMeter) Note(string)                              {}
func (m *shownMeter) Checkpoint(context.Context, string) error { return nil }

// A statement that ends when rows come again is none of their bytes.
func TestFeed(t *testing.T) {
	m := &shownMeter{}
	f := &feed{meter: m, total: 100, unit: recovery.InBytes}
	f.data()
	f.read(60)
	f.begins(script.Part{})
	f.begins(script.Part{})
	f.ends()
	f.read(30) // is shown when rows come
	f.data()
	f.ends()
	f.read(10)
	f.begins(script.Part{})
	f.ends()
	want := []string{"restore of 100", "0", "60", "indexes and constraints of 0", "1", "restore of 100", "90", "100", "indexes and constraints of 0", "1"}
	if !slices.Equal(m.all, want) {
		t.Errorf("it shows %q, want %q", m.all, want)
	}
}
