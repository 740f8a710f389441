-- Requests of one caller, one after the other and around again. Arguments after "--": a file, whose lines are the bodies of POSTs to
-- /v1/decisions (an empty line is a GET of the caller's own preferences), and the caller's token.

local thread_of_script

function setup(thread)
   thread_of_script = thread
end

function init(args)
   local head = "Host: " .. wrk.headers["Host"] .. "\r\nAuthorization: Bearer " .. args[2] .. "\r\n"
   requests = {}
   for body in io.lines(args[1]) do
      if body == "" then
         requests[#requests + 1] = "GET /v1/me/notifications HTTP/1.1\r\n" .. head .. "\r\n"
      else
         requests[#requests + 1] = "POST /v1/decisions HTTP/1.1\r\n" .. head
            .. "Content-Type: application/json\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
      end
   end
   sent = -1
end

function request()
   sent = sent + 1
   return requests[sent % #requests + 1]
end

function done(summary, latency, requests)
   local errors = summary.errors
   local file = assert(io.open(os.getenv("BENCH_RESULT"), "w"))
   file:write(string.format(
      '{"sent": %d, "answered": %d, "refused": %d, "broken": %d, "seconds": %.6f, "p50": %.3f, "p99": %.3f}\n',
      thread_of_script:get("sent"), summary.requests, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout,
      summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
   file:close()
end
