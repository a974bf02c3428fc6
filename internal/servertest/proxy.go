//go:build linux

package servertest

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"path/filepath"

	"popfetch/internal/certtest"
	"popfetch/internal/dovecottest"
)

// startDovecot starts the server itself, or the one behind a proxy.
func (s *Server) startDovecot(o dovecottest.Options) (err error) {
	if s.dovecot, err = dovecottest.Start(o); err != nil {
		return err
	}
	for _, user := range Users() {
		if _, err := s.dovecot.AddUser(user); err != nil {
			return err
		}
	}
	return nil
}

// startDovecotAlone starts Dovecot as the server itself, outside of any jail. It locks
// maildrops, which is off by default.
func startDovecotAlone(s *Server) error {
	certificate, err := tls.LoadX509KeyPair(s.CertFile, filepath.Join(s.dir, certtest.KeyFile))
	if err != nil {
		return err
	}
	err = s.startDovecot(dovecottest.Options{Certificate: &certificate, Settings: "pop3_lock_session = yes\n"})
	if err != nil {
		return err
	}
	s.POP3, s.POP3S = s.dovecot.POP3, s.dovecot.POP3S
	return nil
}

func deliverToDovecot(s *Server, user, name string, text []byte) error {
	return s.dovecot.Deliver(user, name, text)
}

func startNginx(s *Server) error {
	if err := s.startDovecot(dovecottest.Options{}); err != nil {
		return err
	}
	// nginx asks an HTTP server which POP3 server a user belongs to.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.listeners = append(s.listeners, l)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Auth-Status", "OK")
		w.Header().Set("Auth-Server", "127.0.0.1")
		w.Header().Set("Auth-Port", port(s.dovecot.POP3))
	}))
	conf, err := s.file("nginx.conf", fmt.Sprintf(`
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
error_log stderr;
pid %[1]s/nginx.pid;
events {}
mail {
	server_name localhost;
	auth_http http://%[2]s/;
	proxy_pass_error_message on;
	pop3_auth plain;
	pop3_capabilities TOP USER UIDL PIPELINING;
	ssl_certificate %[1]s/cert.pem;
	ssl_certificate_key %[1]s/key.pem;
	server { listen %[3]s; protocol pop3; starttls on; }
	server { listen %[4]s ssl; protocol pop3; }
}
`, s.dir, l.Addr(), s.POP3, s.POP3S))
	if err != nil {
		return err
	}
	return s.spawn("nginx", "-c", conf)
}

func startPerdition(s *Server) error {
	if err := s.startDovecot(dovecottest.Options{}); err != nil {
		return err
	}
	for addr, mode := range map[string]string{s.POP3: "tls_listen", s.POP3S: "ssl_listen"} {
		err := s.spawn("perdition.pop3", "--config_file", "/dev/null", "--no_daemon", "--pid_file", "", "--map_library", "",
			"--bind_address", "127.0.0.1", "--listen_port", port(addr), "--protocol", "POP3",
			"--outgoing_server", "127.0.0.1", "--outgoing_port", port(s.dovecot.POP3),
			"--ssl_mode", mode, "--ssl_cert_file", s.CertFile, "--ssl_key_file", filepath.Join(s.dir, "key.pem"),
			"--username", "root", "--group", "root")
		if err != nil {
			return err
		}
	}
	return nil
}
