package cli

import (
	"log/slog"
	"strings"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/config"
	"popfetch/internal/secret"
)

// A server may repeat in its greeting what an earlier session has sent. Neither the error
// nor the trace shows it: the password is masked before the connection is made.
func TestGreetingThatRepeatsThePassword(t *testing.T) {
	s := &pop3test.Server{
		Security: pop3test.ClearText,
		Faults:   []pop3test.Fault{{At: "greeting", Do: pop3test.Raw, Text: "-ERR [SYS/TEMP] last time: PASS CORRECT-HORSE\r\n"}},
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var trace strings.Builder
	d := &connector{
		account: &config.Account{Login: config.Login{Host: s.Host(), Port: s.Port(), User: "me", TLS: config.TLSNone}},
		log:     slog.New(slog.NewTextHandler(&trace, &slog.HandlerOptions{Level: pop3.LevelTrace})),
		secret:  &secret.Source{Text: config.NewSecret("Correct-Horse")},
	}
	_, err := d.login(t.Context(), fetch.Opening{})
	if err == nil || !strings.Contains(err.Error(), "[SYS/TEMP] ***") || strings.Contains(err.Error()+trace.String(), "HORSE") {
		t.Errorf("%v\n%s", err, trace.String())
	}
}

func TestServerThatClosesTheConnectionBehindCapaIsVisitedWithoutIt(t *testing.T) {
	s := &pop3test.Server{
		Security: pop3test.ClearText,
		Users:    map[string]*pop3test.User{"me": {Password: "Correct-Horse", Maildrop: pop3test.NewMaildrop()}},
		Faults:   []pop3test.Fault{{At: "CAPA", Do: pop3test.Err}, {At: "CAPA", Do: pop3test.Drop, After: pop3test.AfterStatus}},
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	d := &connector{
		account: &config.Account{Login: config.Login{Host: s.Host(), Port: s.Port(), User: "me", TLS: config.TLSNone}},
		log:     slog.New(slog.DiscardHandler),
		secret:  &secret.Source{Text: config.NewSecret("Correct-Horse")},
	}
	client, err := d.login(t.Context(), fetch.Opening{})
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
}
