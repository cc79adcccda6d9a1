package tui

import (
	"strings"

	"comeback/recovery"
)

// The lines around an armored SSH signature.
const (
	armorBegin = "-----BEGIN SSH SIGNATURE-----"
	armorEnd   = "-----END SSH SIGNATURE-----"
)

// armorWidth is how long ssh-keygen makes the lines between them.
const armorWidth = 70

// isArmored refuses what is no signature.
func isArmored(text string) error {
	if _, ok := armored(text); !ok {
		return recovery.Errorf("paste all of it, from "+armorBegin+" to "+armorEnd, "this is no armored SSH signature")
	}
	return nil
}

// armored restores an SSH signature that went through a field of one line, in
// which line ends have become spaces. ok is false where the text holds none.
func armored(text string) (signature string, ok bool) {
	_, rest, begins := strings.Cut(text, armorBegin)
	body, _, ends := strings.Cut(rest, armorEnd)
	body = strings.Join(strings.Fields(body), "")
	if !begins || !ends || body == "" || strings.Trim(body, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") != "" {
		return "", false
	}
	var b strings.Builder
	b.WriteString(armorBegin + "\n")
	for len(body) > armorWidth {
		b.WriteString(body[:armorWidth] + "\n")
		body = body[armorWidth:]
	}
	b.WriteString(body + "\n" + armorEnd + "\n")
	return b.String(), true
}
