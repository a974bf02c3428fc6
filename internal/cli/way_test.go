package cli

import (
	"strings"
	"testing"

	"popfetch/internal/config"
)

func TestProxyOfTheEnvironment(t *testing.T) {
	for name, x := range map[string]struct {
		env         map[string]string
		host, proxy string // what the account has
		want        string // "" = none; "error" = refused
	}{
		"all":                    {map[string]string{"ALL_PROXY": "socks5h://p:1080"}, "pop.example.org", "", "socks5://p:1080"},
		"lower case first":       {map[string]string{"ALL_PROXY": "http://q:1", "all_proxy": "http://p:3128"}, "pop.example.org", "", "http://p:3128"},
		"that of the web":        {map[string]string{"HTTPS_PROXY": "http://p:3128", "HTTP_PROXY": "http://p:3128", "https_proxy": "http://p:1"}, "pop.example.org", "", ""},
		"an exception":           {map[string]string{"ALL_PROXY": "http://p:3128", "NO_PROXY": ".example.org"}, "pop.example.org", "", ""},
		"this machine":           {map[string]string{"ALL_PROXY": "http://p:3128"}, "127.0.0.1", "", ""},
		"the account's":          {map[string]string{"ALL_PROXY": "http://p:3128"}, "pop.example.org", "socks5://own:1", "socks5://own:1"},
		"none by the account":    {map[string]string{"ALL_PROXY": "http://p:3128"}, "pop.example.org", "none", ""},
		"unusable":               {map[string]string{"ALL_PROXY": "http://bob:hunter2@p"}, "pop.example.org", "", "error"},
		"unusable, an exception": {map[string]string{"ALL_PROXY": "x", "NO_PROXY": "*"}, "pop.example.org", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range []string{"ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
				t.Setenv(v, x.env[v])
			}
			g := &config.Login{Host: x.host, Port: 995}
			if x.proxy != "" {
				p, err := config.ParseProxy(x.proxy)
				if err != nil {
					t.Fatal(err)
				}
				g.Proxy = p
			}
			w, err := wayTo(g, nil)
			switch {
			case x.want == "error":
				if err == nil || exitCodeOf(err) != exitConfig || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "ALL_PROXY") {
					t.Errorf("got %v", err)
				}
			case err != nil:
				t.Error(err)
			case x.want == "" && w.Proxy != nil, x.want != "" && (w.Proxy == nil || w.Proxy.String() != x.want):
				t.Errorf("got %v, want %q", w.Proxy, x.want)
			}
		})
	}
}
