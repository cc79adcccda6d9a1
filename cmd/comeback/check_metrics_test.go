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

// Only a proof has a time in the metrics: who watches its age is not calmed by less.
func TestMetrics_proof(t *testing.T) {
	proven := recovery.ProofStanding{Run: "4f2a", At: time.Unix(1760000000, 0)}
	unchecked := proven
	unchecked.Lacks = recovery.LacksChecks
	text := metrics(recovery.Assessment{System: "shop", Components: []recovery.ComponentStanding{{Component: "database", Proof: proven}, {Component: "uploads", Proof: unchecked}}})
	if of := `comeback_proof_timestamp_seconds{system="shop",component=`; !strings.Contains(text, of+`"database"} 1760000000`+"\n") || strings.Contains(text, of+`"uploads"`) {
		t.Errorf("a run that checked nothing is a proof, or a proof is none:\n%s", text)
	}
}
