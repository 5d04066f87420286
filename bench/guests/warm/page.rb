File.exist?('/.wagi/checkpoint')
sum = 0
i = 0
while i < 120_000
  sum = (sum * 31 + i) % 1_000_003
  i += 1
end
puts "Content-Type: text/plain\n\n#{sum}"
