package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"comeback/durable"
	"comeback/recovery"
)

// metrics are an assessment in the text format of Prometheus, for its textfile
// collector. Times are in seconds since 1970; what is not known has no value.
func metrics(a recovery.Assessment) string {
	var b strings.Builder
	metric := func(name, help string) {
		fmt.Fprintf(&b, "# HELP comeback_%s %s\n# TYPE comeback_%s gauge\n", name, help, name)
	}
	value := func(name string, v float64, labels ...string) {
		parts := []string{label("system", a.System)}
		for i := 0; i+1 < len(labels); i += 2 {
			parts = append(parts, label(labels[i], labels[i+1]))
		}
		fmt.Fprintf(&b, "comeback_%s{%s} %s\n", name, strings.Join(parts, ","), strconv.FormatFloat(v, 'f', -1, 64))
	}
	at := func(name string, t time.Time, labels ...string) {
		if !t.IsZero() {
			value(name, float64(t.UnixMilli())/1000, labels...)
		}
	}
	metric("check_timestamp_seconds", "When the copies were last checked.")
	at("check_timestamp_seconds", a.At)
	metric("would_save", "0 yes, 1 yes but there are findings, 2 no, 3 not known.")
	value("would_save", float64(a.Exit()))
	metric("findings", "Number of findings by their mark.")
	value("findings", float64(a.Count(recovery.NotMet)), "mark", "not met")
	value("findings", float64(a.Count(recovery.Unknown)), "mark", "unknown")
	metric("newest_moment_timestamp_seconds", "The newest moment that can be restored.")
	for _, c := range a.Components {
		for _, in := range c.Copies {
			at("newest_moment_timestamp_seconds", in.Newest, "component", c.Component, "copy", in.Copy)
		}
	}
	metric("restorable", "1 where a component can be restored from a copy, 0 where it cannot, nothing where that is not known.")
	for _, c := range a.Components {
		for _, in := range c.Copies {
			if in.Mark != recovery.Unknown {
				value("restorable", map[recovery.Mark]float64{recovery.Met: 1}[in.Mark], "component", c.Component, "copy", in.Copy)
			}
		}
	}
	metric("log_lag_bytes", "How many bytes of a server's log are in no copy; nothing where that is not known.")
	for _, c := range a.Components {
		if c.Lag != nil {
			value("log_lag_bytes", float64(c.Lag.Bytes), "component", c.Component)
		}
	}
	metric("log_lag_seconds", "The time from the newest commit that can be restored to the newest one of the server.")
	for _, c := range a.Components {
		if c.Lag != nil {
			value("log_lag_seconds", time.Duration(c.Lag.Time).Seconds(), "component", c.Component)
		}
	}
	metric("proof_timestamp_seconds", "When a component was last restored and checked with a signed report that passed.")
	for _, c := range a.Components {
		if c.Proof.Proven() {
			at("proof_timestamp_seconds", c.Proof.At, "component", c.Component)
		}
	}
	metric("recovery_seconds", "About how long a recovery takes, as measured and scaled by size.")
	if a.Time.About > 0 {
		value("recovery_seconds", time.Duration(a.Time.About).Seconds())
	}
	return b.String()
}

// label writes one label with its value quoted.
func label(name, text string) string {
	return name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}

// writeMetrics replaces the file of the metrics, whole or not at all: the
// collector may read it at any time, and as another user.
func writeMetrics(path string, a recovery.Assessment) error {
	if err := durable.Publish(path, []byte(metrics(a))); err != nil {
		return recovery.Errorf("let --prometheus name a file in a directory that you may write to", "write the metrics: %w", err)
	}
	return nil
}
