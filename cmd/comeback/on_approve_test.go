package main

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/plan"
)

// Who approves signs a plan that came whole, of that run, with the changes that it has.
func TestApprovalWaits_read(t *testing.T) {
	t.Parallel()
	p := &recovery.Plan{Format: 1, Run: "7c31", System: "shop", Mode: recovery.Recovery, Stages: []recovery.Stage{{Name: "Approve"}}, Steps: []recovery.Step{
		recovery.NewStep("1.approval", recovery.KindApproval, "approve", recovery.ApprovalArgs{Role: "lead", Key: "ssh-ed25519 AAAA"}),
		recovery.NewStep("1.ticks", recovery.KindTicks, "look", recovery.TicksArgs{}),
	}}
	b, err := plan.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	digest := hex.EncodeToString(sum[:])
	change, err := recovery.Amend(digest, recovery.Amended{Says: "skip look", By: "ops1", Skip: []string{"1.ticks"}})
	if err != nil {
		t.Fatal(err)
	}
	other := change
	other.Says = "skip nothing"
	for _, c := range []struct {
		name   string
		id     string
		waits  approvalWaits
		digest string // nothing: it is refused
	}{
		{"as it was planned", "7c31", approvalWaits{Step: "1.approval", Plan: b}, digest},
		{"changed since", "7c31", approvalWaits{"1.approval", b, []recovery.Amended{change}}, change.PlanSHA256},
		{"of another run", "4f2a", approvalWaits{Step: "1.approval", Plan: b}, ""},
		{"of another step", "7c31", approvalWaits{Step: "1.ticks", Plan: b}, ""},
		{"of no step", "7c31", approvalWaits{Step: "2.approval", Plan: b}, ""},
		{"no plan", "7c31", approvalWaits{Step: "1.approval", Plan: []byte("{}")}, ""},
		{"changed by something else", "7c31", approvalWaits{"1.approval", b, []recovery.Amended{other}}, ""},
	} {
		_, _, asked, err := c.waits.read(c.id, time.Now())
		if (err == nil) != (c.digest != "") || err != nil && recovery.ExitOf(err) != recovery.Refused || asked.Digest != c.digest {
			t.Errorf("%s: %+v, %v", c.name, asked, err)
		}
		if err == nil && (asked.Role != "lead" || asked.Key != "ssh-ed25519 AAAA") {
			t.Errorf("%s: it asks for %s, %s", c.name, asked.Role, asked.Key)
		}
	}
}
