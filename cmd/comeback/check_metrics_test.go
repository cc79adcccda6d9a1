package main

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// The lag of the log is a gauge where it is known, and missing where it is not.
func TestMetrics_lag(t *testing.T) {
	text := metrics(recovery.Assessment{System: "shop", Components: []recovery.ComponentStanding{
		{Component: "database", Lag: &recovery.LogLag{Bytes: 4096, Time: recovery.Duration(90 * time.Second)}}, {Component: "uploads"}}})
	for _, line := range []string{`comeback_log_lag_bytes{system="shop",component="database"} 4096`, `comeback_log_lag_seconds{system="shop",component="database"} 90`} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the metrics lack %s:\n%s", line, text)
		}
	}
	if strings.Contains(text, `lag_bytes{system="shop",component="uploads"}`) {
		t.Errorf("a tree has no log:\n%s", text)
	}
}
