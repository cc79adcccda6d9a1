package runbooks

import (
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// readApproval reads who must approve: a role of the runbook's people, one of
// whom has a key that can sign.
func (p *parser) readApproval(at Pos, e entry) Block {
	a := Approval{Pos: at, RoleAt: e.valueAt()}
	role, ok := p.text(e)
	if !ok || !p.frontOK {
		return a
	}
	var roles []string
	var theirs []Person
	for _, person := range p.rb.People {
		if strings.EqualFold(person.Role, role) {
			a.Role = person.Role
			if person.Key != "" {
				theirs = append(theirs, person)
			}
		}
		if person.Role != "" {
			roles = append(roles, person.Role)
		}
	}
	const write = "`{role: %s, reach: \"HOW\", key: \"ssh-ed25519 AAAA…\"}`"
	switch {
	case a.Role == "" && len(roles) == 0:
		p.fail(a.RoleAt, fmt.Sprintf("nobody under `people` is `%s`", role), fmt.Sprintf("add "+write+" under `people`", role))
	case a.Role == "":
		do := "add this role with a `key` under `people`, or write one of " + strings.Join(roles, ", ")
		if near, ok := nearest(role, roles); ok {
			do = fmt.Sprintf("write `approve: %s`", near)
		}
		p.fail(a.RoleAt, fmt.Sprintf("nobody under `people` is `%s`", role), do)
	case len(theirs) == 0:
		p.fail(a.RoleAt, fmt.Sprintf("`%s` has no key, and an approval is a signature", a.Role),
			fmt.Sprintf("write "+write+" under `people`", a.Role))
	case len(theirs) > 1:
		p.fail(a.RoleAt, fmt.Sprintf("%d people are `%s`, and an approval is by one of them", len(theirs), a.Role),
			"give each a role of their own")
	default:
		a.Key = p.publicKey(theirs[0])
	}
	return a
}

// publicKey is the key of a person who is to approve.
func (p *parser) publicKey(person Person) string {
	_, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(person.Key))
	if err != nil || len(options) > 0 || len(rest) > 0 {
		p.fail(person.Pos, fmt.Sprintf("the key of `%s`, who is to approve, is not an SSH public key", person.Role),
			"write the line of a file such as ~/.ssh/id_ed25519.pub")
		return ""
	}
	return person.Key
}

// approveOnce reports a role that is to approve twice in a stage.
func (p *parser) approveOnce() {
	for _, s := range p.rb.Stages {
		first := map[string]Pos{}
		for _, b := range s.Blocks {
			a, ok := b.(Approval)
			if !ok || a.Role == "" {
				continue
			}
			if before, again := first[a.Role]; again {
				p.fail(a.RoleAt, fmt.Sprintf("`%s` approves in this stage already, on line %d", a.Role, before.Line),
					"remove it, or put it into a stage of its own")
				continue
			}
			first[a.Role] = a.RoleAt
		}
	}
}
