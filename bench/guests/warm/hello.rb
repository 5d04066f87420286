File.exist?('/.wagi/checkpoint')
puts "Content-Type: text/plain\n\nHello"
