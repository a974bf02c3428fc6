package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretIsNeverShown(t *testing.T) {
	c := mustLoad(t, account(`password = "hunter2"`))
	a := c.Accounts[0]
	hidden := struct{ inner Secret }{a.PasswordText}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "secret", a.PasswordText, "account", a, "copy", *a)
	}
	js, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var show bytes.Buffer
	if err := c.Show(&show); err != nil {
		t.Fatal(err)
	}
	shown := []string{log.String(), string(js), show.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, a.PasswordText), fmt.Sprintf(verb, a), fmt.Sprintf(verb, *a), fmt.Sprintf(verb, hidden))
	}
	for _, s := range shown {
		if strings.Contains(s, "hunter2") || strings.Contains(s, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("shown: %s", s)
		}
	}
	if got := a.PasswordText.Reveal(); got != "hunter2" {
		t.Errorf("got %q", got)
	}
}
