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
	eachMasked(reflect.ValueOf(a).Elem(), func(text string) { fmt.Fprintf(hash, "%q\n", text) })
	return hex.EncodeToString(hash.Sum(nil))
}

// eachMasked calls fn with each value in the exported fields of a struct that Show masks.
func eachMasked(v reflect.Value, fn func(text string)) {
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		if masked, ok := v.Field(i).Interface().(interface{ Reveal() string }); ok {
			fn(masked.Reveal())
		} else if v.Field(i).Kind() == reflect.Struct {
			eachMasked(v.Field(i), fn)
		}
	}
}
