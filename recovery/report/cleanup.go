package report

import (
	"time"

	"comeback/recovery"
)

// Cleanup is how the run gave back what it had made.
type Cleanup struct {
	// Gone says that nothing of it is left.
	Gone bool `json:"gone"`
	// Keep says that the run was asked to leave what it restores in place.
	Keep   bool    `json:"asked_to_keep,omitempty"`
	Claims []Claim `json:"claims"`
}

// Claim is a resource that the run made or held. It is proven gone at Released,
// or still there because of Kept.
type Claim struct {
	Kind     recovery.ResourceKind `json:"kind"`
	ID       string                `json:"id"`
	Step     string                `json:"step"`
	Made     time.Time             `json:"made"`
	Released time.Time             `json:"released,omitzero"`
	Kept     string                `json:"kept,omitempty"`
	// OnPurpose says that it was meant to stay.
	OnPurpose bool `json:"on_purpose,omitempty"`
	// Spared is what of it was not given back, because others had changed it since.
	Spared string `json:"spared,omitempty"`
	// Adopted says that it was not given back, but is live since Released.
	Adopted bool              `json:"adopted,omitempty"`
	Details map[string]string `json:"details,omitempty"`
}

func (s *source) cleanup() Cleanup {
	c := Cleanup{Gone: true, Keep: s.plan.Keep, Claims: []Claim{}}
	for _, claim := range s.state.Claims {
		if claim.Released.IsZero() {
			c.Gone = false
			if claim.Kept == "" {
				claim.Kept = "it was not given back"
			}
		}
		c.Claims = append(c.Claims, Claim{Kind: claim.Kind, ID: claim.ID, Step: claim.Step,
			Made: claim.Made.UTC(), Released: claim.Released.UTC(), Kept: claim.Kept, OnPurpose: claim.OnPurpose, Spared: claim.Spared, Adopted: claim.Adopted, Details: claim.Details})
	}
	return c
}
