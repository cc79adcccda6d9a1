package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// signScreen chooses a key and signs with it: a report, or a plan.
type signScreen struct {
	m   *model
	run *attached
	// title and means say what is signed and what that proves.
	title line
	means string
	// wanted is the fingerprint of the key that must sign, where one must.
	wanted string
	// creates says that a new key would do, too.
	creates bool
	// use signs, outside of the event loop; what it returns is done in it.
	use func(ctx context.Context, key Key, passphrase []byte) (done func() tea.Cmd, err error)
	// settled reports whether the signature is not wanted any more; nil is no.
	settled func() bool

	keys []Key
	// have says that keys is known. The row after the last key creates one.
	have   bool
	cursor int
	// passphrase is typed for the chosen key.
	passphrase *field
	busy       string
	err        error
}

// newSignReport signs the report of a run that has ended.
func newSignReport(m *model, a *attached) *signScreen {
	word, k := verdict(a)
	dir := a.session.Dir()
	return &signScreen{
		m: m, run: a, cursor: -1, creates: true,
		title: as(strong, "SIGN THE REPORT of run "+a.plan.Run).say("   ").and(k, word),
		means: "The signature proves that the holder of this key vouches for exactly these bytes: report, journal, plan, runbook and artifacts. Readers check it against their own list of signers.",
		use: func(ctx context.Context, key Key, passphrase []byte) (func() tea.Cmd, error) {
			signed, err := m.desk.Sign(ctx, dir, key, passphrase)
			return func() tea.Cmd {
				a.signed = &signed
				cmd := m.back()
				m.top().scroll = 0 // where the signature is
				return cmd
			}, err
		},
	}
}

func (s *signScreen) gone() bool { return s.settled != nil && s.settled() }

// rows is how many rows there are to choose from.
func (s *signScreen) rows() int {
	if s.creates {
		return len(s.keys) + 1
	}
	return len(s.keys)
}

func (s *signScreen) field() *field { return s.passphrase }

func (s *signScreen) close() {
	if s.passphrase != nil {
		s.passphrase.wipe()
	}
}

func (s *signScreen) open() tea.Cmd {
	return ask(s.m.ctx, s, s.m.desk.Keys, func(keys []Key, err error) tea.Cmd {
		s.keys, s.err, s.have = keys, err, true
		return nil
	})
}

func (s *signScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if s.busy != "" {
		return nil, true
	}
	if s.passphrase != nil {
		switch k.String() {
		case keyEscape:
			s.passphrase.wipe()
			s.passphrase, s.err = nil, nil
			return nil, true
		case keyEnter:
			secret := s.passphrase.take()
			s.passphrase = nil
			return s.sign(s.keys[s.cursor], secret), true
		}
		return nil, false
	}
	if !s.have {
		return nil, false
	}
	if cursor, ok := move(k.String(), s.cursor, s.rows(), 8); ok {
		s.cursor, s.err = cursor, nil
		return nil, true
	}
	if k.String() != keyEnter {
		return nil, false
	}
	s.err = nil
	switch {
	case s.cursor < 0:
		s.err = recovery.Errorf("go to one with up and down, then enter", "no key is chosen yet: nothing is signed")
	case s.cursor >= len(s.keys):
		return s.create(), true
	case s.keys[s.cursor].Locked:
		s.passphrase = &field{secret: true}
	default:
		return s.sign(s.keys[s.cursor], nil), true
	}
	return nil, true
}

// create makes a key and puts the cursor on it; it does not sign yet.
func (s *signScreen) create() tea.Cmd {
	s.busy = "creating a key .."
	return ask(s.m.ctx, s, s.m.desk.CreateKey, func(key Key, err error) tea.Cmd {
		s.busy, s.err = "", err
		if err == nil {
			s.keys = append(s.keys, key)
			s.cursor = len(s.keys) - 1
		}
		return nil
	})
}

// sign signs; the passphrase is wiped whatever comes of it.
func (s *signScreen) sign(key Key, passphrase []byte) tea.Cmd {
	s.busy = "signing .. if the key asks for a touch, give it"
	return ask(s.m.ctx, s, func(ctx context.Context) (func() tea.Cmd, error) {
		defer clear(passphrase)
		return s.use(ctx, key, passphrase)
	}, func(done func() tea.Cmd, err error) tea.Cmd {
		s.busy, s.err = "", err
		if err != nil {
			if key.Locked { // what is typed next is the passphrase once more
				s.passphrase = &field{secret: true}
			}
			return nil
		}
		return done()
	})
}

func (s *signScreen) page(w, h int) page {
	a, now := s.run, s.m.now()
	p := page{
		system: a.plan.System, aside: a.timing(now), mode: a.mode(), focus: -1, note: s.busy,
		keys: []binding{{keyEnter, "sign with it"}}, leave: escBack,
	}
	p.live, p.liveLook = a.live(now.Location())
	p.body = []line{s.title, nil}
	if !s.have {
		p.body = append(p.body, as(faint, "looking for keys .."))
		p.keys = nil
		return p
	}
	t := table{w: w, columns: []column{
		{title: "KEY", width: 20, keep: 9}, {title: "TYPE", width: 12, keep: 2}, {title: "FINGERPRINT", width: 20, keep: 3}, {title: "FROM"},
	}}
	if w < 60 {
		t.columns[0].width = 12
	}
	p.body = append(p.body, t.titles())
	for i, key := range s.keys {
		k := plain
		if i == s.cursor {
			k, p.focus = strong, len(p.body)
		}
		from := key.From
		if key.Locked {
			from += ", asks for its passphrase"
		}
		if s.wanted != "" && key.Fingerprint == s.wanted {
			from = "WANTED, " + from
		}
		p.pick(len(p.body), func() { s.cursor = i })
		p.body = append(p.body, t.row(mark(i == s.cursor), span{key.Name, k}, span{key.Type, plain}, span{key.Fingerprint, plain}, span{from, plain}))
	}
	if s.creates {
		k := plain
		if s.cursor == len(s.keys) {
			k, p.focus = strong, len(p.body)
			p.keys[0].does = "create a key"
		}
		p.pick(len(p.body), func() { s.cursor = len(s.keys) })
		p.body = append(p.body, as(k, mark(s.cursor == len(s.keys))+"create a key"))
	}
	p.body = append(p.body, nil)
	if s.cursor >= 0 && s.cursor < len(s.keys) {
		key := s.keys[s.cursor]
		p.body = append(p.body, paragraph("  key", 8, plain, key.Fingerprint+", "+key.From, w, 3)...)
		if s.wanted != "" && key.Fingerprint != s.wanted {
			p.body = append(p.body, paragraph("", 8, warn, "not the key that the runbook names, which is "+s.wanted, w, 2)...)
		}
		p.body = append(p.body, nil)
	}
	p.body = append(p.body, s.meaning(w)...)
	if s.passphrase != nil {
		p.body = append(p.body, nil, s.passphrase.line("PASSPHRASE > ", w))
		p.focus = len(p.body) - 1
		p.keys, p.leave = []binding{{keyEnter, "sign"}}, binding{keyEscape, "drop"}
	}
	if s.err != nil {
		p.body = append(append(p.body, nil), s.m.trouble("REFUSED", s.err, w)...)
		if s.passphrase == nil {
			p.focus = len(p.body) - 1
		}
	}
	return p
}

// meaning is what a signature proves, and what it does not.
func (s *signScreen) meaning(w int) []line {
	text := s.means
	if s.creates && s.cursor == len(s.keys) {
		text = "A new key proves that nothing was changed since it signed. It says nothing of who you are until a colleague has put its public half on the list of signers that readers use."
	}
	return paragraph("", 2, faint, text, w, 4)
}
