package provider

import (
	"cmp"
	"encoding/json"
	"time"

	"comeback/recovery"
)

// Encode keeps an engine's facts: plain data, references unresolved.
func Encode(facts any) json.RawMessage {
	b, err := json.Marshal(facts)
	if err != nil {
		panic("provider: facts: " + err.Error()) // plain data always encodes
	}
	return b
}

// Decode reads what Encode has kept of something.
func Decode[T any](b json.RawMessage, what string) (T, error) {
	var f T
	if err := json.Unmarshal(b, &f); err != nil {
		return f, recovery.Errorf("survey the copy again", "read what the survey says of %s: %w", what, err)
	}
	return f, nil
}

// FactsOf are those of a point: its own, or else its backup's.
func FactsOf[T any](p recovery.Point) (T, error) {
	if len(p.Facts) > 0 {
		return Decode[T](p.Facts, p.Backup.ID)
	}
	return Decode[T](p.Backup.Facts, p.Backup.ID)
}

// Interval is how often a provider is asked how far it is, by `every:` of a component.
func Interval(c recovery.Component, otherwise time.Duration) (time.Duration, error) {
	text := cmp.Or(c.Settings.Text("every"), otherwise.String())
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, recovery.Errorf("write it like `every: 15s`", "the component %s: `every` cannot be %q", c.Name, text).WithExit(recovery.Usage)
	}
	return d, nil
}

// CheckInterval says what is wrong with an `every`.
func CheckInterval(text string) error {
	if d, err := time.ParseDuration(text); err != nil || d <= 0 {
		return recovery.Errorf("write it like `every: 15s`", "is no time between two questions").WithExit(recovery.Usage)
	}
	return nil
}
