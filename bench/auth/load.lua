-- What 16 connections send. Arguments: what, path, Authorization or -, file with one body a line. `refresh` begins with the tokens of
-- the file and goes on with those that it is given; `assertions` sends each line once; everything else the lines in turn.
local what, path, headers
local lines, first, last = {}, 1, 0
-- Global: wrk reads them out of the thread.
failed, missing = 0, 0
local threads = {}

function setup(thread) table.insert(threads, thread) end

local function add(line)
  last = last + 1
  lines[last] = line
end

function init(args)
  what, path = args[1], args[2]
  headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
  if args[3] ~= "-" then headers["Authorization"] = args[3] end
  for line in io.lines(args[4]) do add(line) end
end

function request()
  local line = lines[first]
  if line == nil then
    missing = missing + 1
    return wrk.format("POST", path, headers, "nothing=left")
  end
  lines[first] = nil
  first = first + 1
  if what == "refresh" then return wrk.format("POST", path, headers, "grant_type=refresh_token&refresh_token=" .. line) end
  if what ~= "assertions" then add(line) end
  return wrk.format("POST", path, headers, line)
end

function response(status, _, body)
  local token = what == "refresh" and body:match('"refresh_token":"([^"]+)"')
  if status ~= 200 or token == nil then failed = failed + 1 end
  if token then add(token) end
end

function done(summary, latency)
  local all = { failed = 0, missing = 0 }
  for _, thread in ipairs(threads) do
    for name, count in pairs(all) do all[name] = count + thread:get(name) end
  end
  io.write(string.format("RESULT %d %d %d %d %d %d\n", summary.requests, summary.duration, all.failed, all.missing,
    latency:percentile(50), latency:percentile(99)))
end
