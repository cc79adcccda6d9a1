package tui

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// approvalOf reads whose approval a step wants.
func approvalOf(st *recovery.StepState) (recovery.ApprovalArgs, error) {
	var args recovery.ApprovalArgs
	err := st.Decode(&args)
	return args, err
}

// fingerprint names a public key as ssh-keygen -l does, "" where the text holds
// no key.
func fingerprint(publicKey string) string {
	fields := strings.Fields(publicKey)
	if len(fields) < 2 {
		return ""
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// approvalChoices are the ways to bring a second person's signature, or to go
// on without it. Whoever signs need not command the run.
func (s *waitingScreen) approvalChoices() []choice {
	list := []choice{
		{name: "Sign here...", leaves: "with a key of this terminal, over the digest above", anybody: true, do: func() tea.Cmd {
			return s.m.push(s.approve())
		}},
		{name: "Paste a signature...", leaves: "that somebody made elsewhere", anybody: true, do: func() tea.Cmd {
			s.asks(&prompt{label: "SIGNATURE > ", does: "hand it in", needs: "this needs a signature", edit: field{long: true}, check: isArmored, then: s.pasted})
			return nil
		}},
		{name: "Go on without...", leaves: "breaks the glass: a reason, WITH EXCEPTIONS", do: s.because("go on without an approval", func(reason string) tea.Cmd {
			return s.decide(recovery.ChooseContinue, reason)
		})},
	}
	if s.run.plan.Mode == recovery.Rehearsal {
		list = append(list, choice{name: "Talked through", leaves: "nobody signs in this rehearsal; the report says so", do: func() tea.Cmd {
			return s.send(recovery.Command{Kind: recovery.DoTick, Step: s.id, How: recovery.TickTalkedThrough})
		}})
	}
	return append(list, s.stopHere())
}

// pasted hands a signature in.
func (s *waitingScreen) pasted(text string) tea.Cmd {
	signature, _ := armored(text)
	return s.send(recovery.Command{Kind: recovery.DoApprove, Step: s.id, Signature: signature})
}

// approve is the screen that signs the plan's digest with a key.
func (s *waitingScreen) approve() *signScreen {
	a, st := s.run, s.step()
	sum := a.state.PlanSHA256
	sign := &signScreen{m: s.m, run: a, cursor: -1, settled: s.gone}
	if args, err := approvalOf(st); err == nil {
		sign.wanted = fingerprint(args.Key)
	}
	sign.title = as(strong, "APPROVE THE PLAN of run "+a.plan.Run).say("   digest " + recovery.ShortDigest(sum))
	sign.means = "The signature says that the holder of this key has read this plan and wants it to go on. An amendment after it changes the digest and voids it."
	sign.use = func(ctx context.Context, key Key, passphrase []byte) (func() tea.Cmd, error) {
		signature, err := s.m.desk.Approve(ctx, sum, key, passphrase)
		if err == nil {
			err = a.session.Do(ctx, recovery.Command{Kind: recovery.DoApprove, Step: s.id, Signature: signature, By: s.m.operator})
		}
		return s.m.back, err
	}
	return sign
}

// approval shows whose signature is wanted, and over what.
func (s *waitingScreen) approval(p *page, st *recovery.StepState, head line, w int) {
	a := s.run
	p.body = []line{spread(head, say("digest "+recovery.ShortDigest(a.state.PlanSHA256)), w), nil}
	args, err := approvalOf(st)
	if err != nil {
		p.body = append(p.body, s.m.trouble("BROKEN", err, w)...)
	}
	role := args.Role
	for _, person := range a.plan.People {
		if person.Role == role && person.Reach != "" {
			role += ", reached by " + person.Reach
			break
		}
	}
	p.about("APPROVER", warn, role, w, 2)
	key := fingerprint(args.Key)
	if key == "" {
		key = "not known: the runbook gives no key for this role"
	}
	p.about("KEY", plain, key, w, 2)
	p.about("DIGEST", plain, spaced(a.state.PlanSHA256), w, 2)
	p.about("PLAN", plain, fmt.Sprintf("run %s, %s of %s, %s", a.plan.Run, a.plan.Mode, a.plan.System, a.state.Moment.String()), w, 2)
	for _, approved := range a.state.Approvals {
		if approved.PlanSHA256 != a.state.PlanSHA256 {
			p.about("VOID", warn, fmt.Sprintf("%s approved digest %s at %s; the plan was amended since", approved.Role, recovery.ShortDigest(approved.PlanSHA256),
				approved.At.In(s.m.now().Location()).Format("15:04:05")), w, 2)
		}
	}
	p.about("CAUSE", plain, s.m.pasted(st.Error), w, 3)
	p.about("ELSEWHERE", plain, s.m.pasted("comeback approve "+a.plan.Run), w, 1)
}

// spaced is a whole digest in groups of four.
func spaced(hex string) string {
	var b strings.Builder
	for i := 0; i < len(hex); i += 4 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(hex[i:min(i+4, len(hex))])
	}
	return b.String()
}
