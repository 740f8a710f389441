-- The load that wrk sends: users take turns, and each PATCH flips the toggle of the user whose turn it is, so that each
-- one is a change. Arguments after "--": the method (GET; PATCH; MIXED: every fourth a PATCH; DECIDE: a POST to
-- /v1/decisions), a file with one token a line, a file with one 0 or 1 for each user (what was chosen last) or, for DECIDE,
-- with one body a line, the number of the user to begin with, the milliseconds that a connection waits before each
-- request, and the Origin that each request names, if any. One thread only: its state is the truth about what was sent.

local PATH = "/v1/me/notifications"
local thread_of_script

function setup(thread)
   thread_of_script = thread
end

function init(args)
   method = args[1]
   host = "Host: " .. wrk.headers["Host"] .. "\r\n"
   if args[6] then
      host = host .. "Origin: " .. args[6] .. "\r\n"
   end
   tokens, choices, bodies = {}, {}, {}
   for token in io.lines(args[2]) do
      tokens[#tokens + 1] = token
   end
   for line in io.lines(args[3]) do
      if method == "DECIDE" then
         bodies[#bodies + 1] = line
      else
         for choice in line:gmatch("[01]") do
            choices[#choices + 1] = choice == "1"
         end
      end
   end
   first = tonumber(args[4])
   sent = -1
   local pause = tonumber(args[5])
   if pause > 0 then
      -- wrk asks for it if it is there.
      function delay()
         return pause
      end
   end
end

local function message(method, path, token, body)
   local head = method .. " " .. path .. " HTTP/1.1\r\n" .. host .. "Authorization: Bearer " .. token .. "\r\n"
   if body then
      return head .. "Content-Type: application/json\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
   end
   return head .. "\r\n"
end

function request()
   -- wrk asks once to look at the request and doesn't send that one: it must change nothing.
   if sent < 0 then
      sent = 0
      return message("GET", PATH, tokens[1])
   end
   local user = (first + sent) % #tokens + 1
   sent = sent + 1
   if method == "DECIDE" then
      return message("POST", "/v1/decisions", tokens[user], bodies[sent % #bodies + 1])
   end
   if method == "GET" or (method == "MIXED" and sent % 4 ~= 0) then
      return message("GET", PATH, tokens[user])
   end
   choices[user] = not choices[user]
   return message("PATCH", PATH, tokens[user], '{"email":{"weekly_usage_digest":' .. tostring(choices[user]) .. "}}")
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
