package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
)

// Digest returns 64 hex digits that change with every setting of the account that has an
// effect on a poll, secrets included.
func (a *Account) Digest() string {
	var text strings.Builder
	_ = (&Config{Accounts: []*Account{a}}).Show(&text) // a Builder takes all
	hash := sha256.New()
	for line := range strings.Lines(text.String()) {
		if key, _, _ := strings.Cut(line, " = "); key != "enabled" && key != "interval" {
			fmt.Fprint(hash, line)
		}
	}
	eachSecret(reflect.ValueOf(a).Elem(), func(s Secret) { fmt.Fprintf(hash, "%q\n", s.Reveal()) })
	return hex.EncodeToString(hash.Sum(nil))
}

// eachSecret calls fn with each Secret in the exported fields of a struct.
func eachSecret(v reflect.Value, fn func(Secret)) {
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		if s, ok := v.Field(i).Interface().(Secret); ok {
			fn(s)
		} else if v.Field(i).Kind() == reflect.Struct {
			eachSecret(v.Field(i), fn)
		}
	}
}
