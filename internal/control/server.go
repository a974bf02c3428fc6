package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
)

// mostRequest is the size of the largest request in octets.
const mostRequest = 4 << 20

// times are the limits of a server.
type times struct {
	request   time.Duration // a client may take to send a request, or to read a line of the answer
	heartbeat time.Duration // between two lines of an answer, at most
	look      time.Duration // between two looks whether the socket is there
}

// Server serves the socket of an owner.
type Server struct {
	info    Info
	owner   Owner
	times   times
	http    *http.Server
	stop    context.CancelFunc
	stopped <-chan struct{} // closed by stop
	serving sync.WaitGroup
}

// Start serves the clients of l, a *Listener, until Close, which closes l too. owner may
// be asked by several clients at once.
func Start(l net.Listener, info Info, owner Owner) *Server {
	return start(l, info, owner, times{request: 5 * time.Second, heartbeat: 2 * time.Second, look: time.Minute})
}

func start(l net.Listener, info Info, owner Owner, times times) *Server {
	info.Features = features()
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{info: info, owner: owner, times: times, stop: stop, stopped: ctx.Done()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /owner", s.describe)
	mux.HandleFunc("POST /do", s.do)
	s.http = &http.Server{
		Handler:           s.versions(mux),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: times.request,
		IdleTimeout:       times.request,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // a client that sends garbage is not our trouble
	}
	s.serve(l)
	return s
}

// serve serves the clients of l too.
func (s *Server) serve(l net.Listener) {
	s.serving.Go(func() { _ = s.http.Serve(l) })
}

// Close removes the socket, ends what clients still wait for, and waits a moment for them
// to be told.
func (s *Server) Close() error {
	s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), s.times.request)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	s.serving.Wait()
	return err
}

// versions refuses a client of another protocol.
func (s *Server) versions(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(protocolHeader, strconv.Itoa(Protocol))
		w.Header().Set("Content-Type", "application/json")
		if theirs := r.Header.Get(protocolHeader); theirs != strconv.Itoa(Protocol) {
			refuse(w, http.StatusUpgradeRequired, fmt.Sprintf("it speaks protocol %d, and not %.20q", Protocol, theirs))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers a request that is not understood.
func refuse(w http.ResponseWriter, status int, why string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Reason{Text: why})
}

func (s *Server) describe(w http.ResponseWriter, _ *http.Request) {
	_ = json.NewEncoder(w).Encode(s.info)
}

// line is one line of a streamed response. All of its fields are empty in a heartbeat.
type line struct {
	Answer *Answer `json:"answer,omitempty"`
	End    *end    `json:"end,omitempty"` // of the last line
}

// end is how a request ended.
type end struct {
	Refused *Reason `json:"refused,omitempty"`
}

func (s *Server) do(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(s.times.request))
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostRequest))
	body.DisallowUnknownFields()
	var request Request
	if err := body.Decode(&request); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	_, _ = io.Copy(io.Discard, body.Buffered())
	_, _ = io.Copy(io.Discard, r.Body)
	_ = control.SetReadDeadline(time.Time{})

	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	answers := make(chan Answer)
	ended := make(chan error, 1)
	go func() {
		ended <- s.ask(ctx, request, func(a Answer) {
			select {
			case answers <- a:
			case <-ctx.Done():
			}
		})
	}()
	beat := time.NewTicker(s.times.heartbeat)
	defer beat.Stop()
	out := json.NewEncoder(w)
	for {
		var l line
		select {
		case a := <-answers:
			l.Answer = &a
		case <-beat.C:
		case err := <-ended:
			l.End = endOf(err)
		}
		_ = control.SetWriteDeadline(time.Now().Add(s.times.request))
		if out.Encode(l) != nil || control.Flush() != nil {
			cancel() // nobody reads
			if l.End == nil {
				<-ended
			}
			return
		}
		if l.End != nil {
			return
		}
	}
}

// ask asks the owner. A panic is an error, so that the owner goes on.
func (s *Server) ask(ctx context.Context, r Request, answer func(Answer)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("popfetch has a defect in %q, please report it: %v\n%s", r.Do, p, debug.Stack())
		}
	}()
	return s.owner.Do(ctx, r, answer)
}

// endOf returns the last line of a response. An error that is no *Refusal is temporary.
func endOf(err error) *end {
	var refused *Refusal
	switch {
	case err == nil:
		return &end{}
	case errors.As(err, &refused):
		return &end{Refused: &refused.Reason}
	}
	return &end{Refused: &Reason{Text: err.Error()}}
}
