// SPDX-License-Identifier: Apache-2.0
// A gRPC server in Go with peer.v1.Lookup over a map of entries: grpc_peer_go PORT ENTRIES
package main

import (
	"context"
	"encoding/binary"
	"io/ioutil"
	"log"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/golang/protobuf/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "peer/pb"
)

type server struct {
	pb.UnimplementedLookupServer
	entries map[string]*pb.GetReply
}

func (s *server) Get(_ context.Context, q *pb.GetRequest) (*pb.GetReply, error) {
	if e, ok := s.entries[q.Id]; ok {
		return e, nil
	}
	return nil, status.Error(codes.NotFound, "no such id")
}

// Watch sends N notices and ends the stream if the prefix is "burst:N". Otherwise it sends one notice, and the stream
// stays open.
func (s *server) Watch(q *pb.WatchRequest, out pb.Lookup_WatchServer) error {
	n, stay := 1, true
	if strings.HasPrefix(q.Prefix, "burst:") {
		n, _ = strconv.Atoi(q.Prefix[6:])
		stay = false
	}
	for i := 1; i <= n; i++ {
		if err := out.Send(&pb.Notice{Id: "agent-0500", Revision: uint64(i)}); err != nil {
			return err
		}
	}
	if stay {
		<-out.Context().Done()
	}
	return nil
}

func main() {
	data, err := ioutil.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	s := &server{entries: map[string]*pb.GetReply{}}
	for len(data) >= 4 {
		n := binary.BigEndian.Uint32(data)
		r := &pb.GetReply{}
		if err := proto.Unmarshal(data[4:4+n], r); err != nil {
			log.Fatal(err)
		}
		s.entries[r.Id] = r
		data = data[4+n:]
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	// One long-lived worker, because the server has one core. Otherwise each call would grow a new stack.
	g := grpc.NewServer(grpc.NumStreamWorkers(1), grpc.MaxConcurrentStreams(1000))
	pb.RegisterLookupServer(g, s)
	log.Fatal(g.Serve(l))
}
